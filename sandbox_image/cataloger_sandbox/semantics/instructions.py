"""Text that speaks to a language model: orders to forget, to reveal, to act, in several languages and disguises.

Customers write about instructions too ("ignore my last e-mail", "the instructions were unclear"): what counts is an
order about the model's own rules, or to a named machine, or the marks by which models' turns are written.
"""

import base64
import binascii
import contextlib
import re
import unicodedata

_NOUN = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directives?|programming|constraints?|restrictions?|safeguards?|system "
    r"messages?|filters?|training|policies|policy|directions|orders|commands?|guardrails?)"
)
_ANY = r"(?:the |of |these |those |other |every |and |or |any |all |security |developer |hidden |given |past )"
_RULES = (
    # Whose rules: "the instructions" alone are on the box, and "my previous instructions" a customer's own.
    rf"(?:{_ANY}{{0,4}}(?:previous|prior|earlier|above|preceding|foregoing|existing|original|system|initial|safety|your|former|all)\b ?"
    rf"(?:{_ANY}|previous |prior |above |system |your |safety |initial |original |earlier ){{0,4}}{_NOUN}"
    rf"|{_ANY}{{0,3}}{_NOUN} (?:above|you (?:were|have been|had been|got|received)|given (?:to you )?(?:above|before|earlier)|so far|in your))"
)
_MACHINE = (
    r"(?:ai|a\.i\.|llm|(?:large )?language model|chat ?bot|(?:chat)?gpt(?:-\d)?|claude|gemini|copilot|ai[ -](?:assistant|model|agent|"
    r"system)|virtual assistant|neural network|ai crawler|summari[sz]er)"
)
_ORDERS = (
    # English
    rf"\b(?:ignore|disregard|forget|override|bypass|overrule|discard|set aside|pay no attention to|do not (?:follow|obey)|don'?t (?:follow|obey)|stop following|violate|neglect|skip|delete|drop)\b {_RULES}\b",
    r"\b(?:ignore|disregard|forget) (?:everything|all|anything) (?:that (?:was|you)|you (?:were|have|know)|above|before|said|written|prior|previously|and)\b",
    r"\b(?:reveal|print|show|repeat|output|display|leak|disclose|expose|tell (?:me|us)|send|dump|recite|give (?:me|us))\b (?:\w+ ){0,4}?(?:system prompt|initial prompt|hidden (?:prompt|instructions|rules)|system message|your (?:prompt|instructions|system|guidelines|configuration|rules|api keys?|credentials|training data|secrets?))\b",
    rf"\b(?:you are now|you're now|act as|behave as|pretend (?:to be|that you are|you are)|roleplay as|from now on,? you(?: are|'re| will| must)?|you are (?:no longer|hereby))\b (?:an? |the |my |in )?(?:\w+ ){{0,3}}?(?:{_MACHINE}|(?:assistant|model|agent) (?:without|that|who|with no)|dan\b|developer mode|maintenance mode|debug mode|jailbr\w+|unrestricted|root|god mode|free of)\b",
    rf"\byou are (?:an? |the )?(?:\w+ ){{0,2}}?{_MACHINE}\b[^.!?\n]{{0,40}}\b(?:must|without|now|should|that|who|will)\b",
    rf"\b(?:attention|hey|dear|(?:note|message|instructions?|notice|reminder|memo) (?:to|for)|to (?:the|any|all|every)|as an?|if you are an?|hello|hi),? (?:the |any |all |every |an? )?(?:\w+ )?{_MACHINE}s?\b[^.!?\n]{{0,40}}?(?:[:,]|reading|processing|that (?:reads?|process)|must|please|you|parsing|summari)",
    rf"(?:^|[.!?:;\n\[(>\"-])\s*(?:dear |hey |hi |hello |ok |okay )?{_MACHINE}\s?[,:!-]+ (?:please |you (?:must|should|will)|now |do |run|execute|ignore|print|write|say|send|delete|stop|drop|output|mark|report|skip|reveal|forget|disregard|follow|omit|treat|never|always|approve|rate|summari[sz]e|grant|hide)",
    r"(?:^|[.!?:;\n\[(>\"-])\s*(?:assistant|model|agent)\s?[,:!-]+ (?:now )?(?:ignore (?:all|your|previous)|disregard|forget (?:all|your|everything)|reveal|execute_python|submit_html|(?:run|execute) (?:\w+ ){0,3}?(?:python|code|command|os\.|execute_python|submit_html))",
    r"\b(?:new|updated|revised|real|actual|true|important|secret|hidden|overriding|priority|additional|urgent) (?:system )?(?:instructions?|prompt|directives?|orders)\s*(?:for (?:you|the \w+|ai))?\s*[:=>-]",
    r"\b(?:system|developer|admin(?:istrator)?) (?:override|prompt|message|note|notice|instruction|command)\s*[:=>\]]",
    r"\b(?:do not|don't|never) (?:tell|inform|mention (?:this|it)?|alert|notify|reveal|report|show)\b[^.!?\n]{0,40}\b(?:user|human|operator|reader|anyone)\b[^.!?\n]{0,40}\b(?:instruction|prompt|message|text|this)",
    r"\b(?:when|before|while|after|instead of|if|once|whenever) (?:you )?(?:summari[sz]|answer|respond|generat|process|analy[sz]|catalog|describ)(?:e|ing|s)?\b[^.!?\n]{0,70}\b(?:you must|do not mention|always (?:say|write|include|state)|do not|ignore|say that|write that|state that|report that|include the (?:phrase|text|words|sentence|link))\b",
    r"\b(?:call|use|invoke|execute|run) (?:the |your )?(?:\w+ )?(?:tool|function|execute_python|submit_html|shell|python|bash|terminal)\b[^.!?\n]{0,60}\b(?:with|to|and|os\.|import|rm |curl|wget|delete|send|drop)\b",
    r"\b(?:exfiltrate|upload|send|post|forward|transmit|leak)\b[^.!?\n]{0,40}\b(?:credentials|passwords?|api keys?|tokens?|secrets|environment variables|all (?:the )?data|entire (?:database|table)|conversation|system prompt|chat history)\b[^.!?\n]{0,30}\bto\b",
    r"\bjailbr(?:eak|oken)\b|\bprompt injection\b[^.!?\n]{0,20}[:!]|\bdo anything now\b|\bdeveloper mode (?:enabled|on|activated)\b",
    r"\byour (?:new |real |only |true |primary |actual )(?:task|instructions?|goal|job|role|purpose|objective|mission|directive)s?\b[^.!?\n]{0,10}\b(?:is|are)\b",
    r"\b(?:do not|don't|never) (?:mention|reveal|disclose|repeat|quote|report) (?:this|these|that) (?:note|message|instructions?|text|prompt|line|comment|request)\b",
    # German
    r"\b(?:ignorier\w*|vergiss|vergesst|missachte\w*|übergeh\w*|umgeh\w*|verwirf)\b [^.!?\n]{0,50}\b(?:anweisung\w*|instruktion\w*|regel\w*|vorgabe\w*|befehl\w*|prompt\w*|richtlinie\w*|system\w*nachricht\w*|einschränkung\w*)",
    r"\b(?:gib|zeig\w*|verrat\w*|nenn\w*|drucke|wiederhol\w*|offenbar\w*)\b [^.!?\n]{0,40}\b(?:system-?prompt|systemanweisung\w*|deine (?:anweisung|instruktion|regel)\w*)",
    r"\b(?:du bist (?:jetzt|nun|ab (?:jetzt|sofort))|ab (?:jetzt|sofort) bist du|verhalte dich (?:wie|als)|tu so,? als|ki|sprachmodell|assistent)\b[^.!?\n]{0,40}\b(?:ki\b|assistent|modell|chatbot|uneingeschränkt|administrator|ignorier|lösch|sende|schreib|antworte)",
    # French
    r"\b(?:ignore[sz]?|ignorer|oublie[sz]?|oublier|ne (?:tiens|tenez) (?:pas|aucun) compte|contourne[sz]?|néglige[sz]?|fais abstraction|faites abstraction)\b (?:de |d')?(?:toutes? |tous |les |tes |vos |ces |des )[^.!?\n]{0,40}\b(?:instructions?|consignes|règles|directives|prompts?|ordres)\b[^.!?\n]{0,20}(?:précédent|antérieur|ci-dessus|système|initial|reçu|donné|sécurité)",
    r"\b(?:ignore[sz]?|oublie[sz]?)\b (?:toutes (?:les |tes |vos )|(?:tes |vos ))(?:instructions|consignes|règles|directives)",
    r"\b(?:révèle\w*|affiche\w*|montre\w*|donne\w*|répète\w*)\b[^.!?\n]{0,40}\b(?:prompt|invite|instructions?|consignes?)(?: (?:du )?système| système| initiales?| cachées?)",
    r"\b(?:tu es|vous êtes|agis|agissez|comporte-toi)\b (?:désormais|maintenant|comme|en tant que|à présent)\b[^.!?\n]{0,40}\b(?:ia\b|assistant|modèle|administrateur|sans restriction)",
    # Spanish and Portuguese
    r"\b(?:ignor[ae]|ignoren|olvid[ae]|descart[ae]|desconsider[ae]|esqueç?[ac]|omit[ae]|no sigas|desobede(?:ce|zca))\b (?:todas? |todos? |las |los |tus |sus |as |os |suas |seus |estas |quaisquer )[^.!?\n]{0,40}\b(?:instruc\w+|instruç\w+|reglas|regras|directrices|diretrizes|órdenes|ordens|prompts?|indicaciones)\b(?:[^.!?\n]{0,25}(?:anterior|previ|sistema|inicia|arriba|acima|recib|receb|dad|segur)|(?<=s)\W+y\b)",
    r"\b(?:ignor[ae]|olvid[ae]|esqueça) (?:todas (?:las |as |tus |suas )?|tus |suas )(?:instrucciones|instruções|reglas|regras)",
    r"\b(?:revela\w*|muestra\w*|mostre|imprim\w+|repite|repita|dime|diga)\b[^.!?\n]{0,40}\b(?:prompt (?:del? |do )?sistema|instrucciones (?:ocultas|del sistema|iniciales)|instruções (?:ocultas|do sistema))",
    r"\b(?:ahora eres|eres ahora|a partir de ahora|actúa como|agora você é|você é agora|a partir de agora|aja como|finja)\b[^.!?\n]{0,40}\b(?:ia\b|asistente|assistente|modelo|administrador|sin restricciones|sem restrições|eres|você)",
    # Italian, Dutch, Polish
    r"\b(?:ignora|ignorate|ignori|dimentica|dimenticate|trascura|non seguire)\b (?:tutte |tutti |le |i |gli |ogni |qualsiasi |queste )[^.!?\n]{0,40}\b(?:istruzion[ei]|regol[ae]|direttiv[ae]|prompt|ordini)\b",
    r"\b(?:negeer|vergeet|omzeil)\b (?:alle |de |je |uw |deze )[^.!?\n]{0,40}\b(?:instructies?|regels?|richtlijnen|prompts?|opdrachten|aanwijzingen)",
    r"\b(?:zignoruj|ignoruj|zapomnij|pomiń)\b [^.!?\n]{0,60}\b(?:instrukcj\w+|polece\w+|zasad\w*|reguł\w*|prompt\w*|wytyczn\w+)",
    # Russian, Ukrainian, Turkish
    r"(?:игнорир\w+|проигнорир\w+|забудь\w*|отмени\w*|ігнору\w+|забудь)\b [^.!?\n]{0,60}(?:инструкц\w+|указани\w+|правил\w+|команд\w+|промпт\w*|інструкц\w+|вказівк\w+)",
    r"\b(?:önceki|yukarıdaki|tüm)\b[^.!?\n]{0,40}\b(?:talimat\w*|kural\w*|komut\w*)\b[^.!?\n]{0,20}\b(?:yok say|unut|görmezden)",
    # Chinese, Japanese, Korean, Arabic, Hindi
    r"(?:忽略|无视|忘记|忘掉|忽視|無視|不要遵守)[^。！？\n]{0,20}(?:指令|指示|提示|规则|規則|命令|说明|提示词)",
    r"(?:以前|前|上記|これまで|すべて|全て)[^。！？\n]{0,12}(?:指示|命令|ルール|プロンプト)[^。！？\n]{0,6}(?:無視|忘れ|従わ)",
    r"(?:이전|위|모든|앞선)[^.!?\n]{0,15}(?:지시|명령|규칙|프롬프트|지침)[^.!?\n]{0,8}(?:무시|잊)",
    r"(?:تجاهل|انس|تجاوز)[^.!؟\n]{0,30}(?:التعليمات|الأوامر|القواعد|تعليمات)",
    r"(?:पिछले|सभी|पूर्व)[^।!?\n]{0,25}(?:निर्देश|नियम|आदेश)\w*[^।!?\n]{0,10}(?:अनदेखा|नज़रअंदाज़|भूल|उपेक्षा)",
    # The marks of models' turns
    r"<\|?(?:im_start|im_end|system|endoftext|start_header_id|eot_id|begin_of_text|assistant|user)\|?>|\[/?INST\]|<</?SYS>>|<start_of_turn>",
    r"(?:^|\n)\s*(?:###?\s*)?(?:system|assistant|human)\s*:\s*(?:you |ignore|disregard|sure|i will|as an? )",
    r"\b(?:begin|end) (?:of )?(?:system )?(?:prompt|instructions)\b|</?(?:instructions?|system_?prompt|system|prompt)>",
)
_ORDER = re.compile("|".join(f"(?:{order})" for order in _ORDERS), re.IGNORECASE)
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
_SPACED = re.compile(r"\b\w(?:[ ._*-]\w\b){5,}")
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/_-]{24,4000}={0,2}(?![A-Za-z0-9+/=])")
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһкмтвнАВЕКМНОРСТХІЈЅαοερτυκνιΑΒΕΗΙΚΜΝΟΡΤΥΧΖ", "aeopcyxijsdhkmtbhABEKMHOPCTXIJSaoeptuknvABEHIKMNOPTYXZ"
)
_LEET = str.maketrans("013457@$!", "oieastasi")

LONGEST = 4_000
"""Of a longer text, so many characters are looked at from its beginning and from its end."""


def addresses_a_model(text: str) -> bool:
    """Tell whether *text* gives orders to a language model, open or disguised."""
    if len(text) > 2 * LONGEST:
        text = f"{text[:LONGEST]}\n{text[-LONGEST:]}"
    return any(_ORDER.search(form) for form in _forms(text))


def order_in(text: str) -> str:
    """Return the beginning of the order that *text* gives, as it stands in it; of a disguised one the text's own."""
    match = _ORDER.search(text)
    piece = match[0] if match else text[:60]
    return piece.strip()[:40].split("\n")[0]


def _forms(text: str) -> list[str]:
    """Return *text* as it stands, and as it reads without the disguise that it wears, if it wears one."""
    forms = [re.sub(r"\s+", " ", text) if "\n" not in text else text]
    tagged = "".join(chr(ord(char) - 0xE0000) for char in text if "\U000e0020" <= char <= "\U000e007e")
    plain = unicodedata.normalize("NFKC", _HIDDEN.sub("", text))
    if plain != text:
        forms.append(plain)
    if tagged:
        forms.append(tagged)
    folded = plain.translate(_LOOKALIKES)
    if folded != plain and re.search(r"[A-Za-z]", plain):
        forms.append(folded)
    if _SPACED.search(plain):  # letters apart, words further apart
        words = re.split(r"\s{2,}|\s*/\s*|\n", plain)
        forms.append(" ".join(re.sub(r"(?<=\b\w)[ ._*-](?=\w\b)", "", word) for word in words))
    if re.search(r"[A-Za-z][013457@$!][A-Za-z]", plain):
        forms.append(plain.translate(_LEET))
    if re.search(r"(?<![A-Za-z])[A-Za-z]{3,}[_.*-][A-Za-z]{3,}[_.*-][A-Za-z]{2,}", plain):
        forms.append(re.sub(r"[_.*-]+", " ", plain))
    for match in _ENCODED.finditer(plain):
        forms += _decoded(match[0])
    return forms


def _decoded(text: str) -> list[str]:
    """Return what *text* says in base 64 or in hexadecimal digits, if it says anything."""
    found = []
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text):
        found.append(bytes.fromhex(text))
    plain = text.rstrip("=").translate(str.maketrans("+/", "-_"))
    with contextlib.suppress(binascii.Error, ValueError):
        found.append(base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4)))
    texts = [data.decode("utf-8", "replace") for data in found]
    return [each for each in texts if each.count("\ufffd") <= len(each) / 20 and " " in each]


ORDERS_IN_SQL = {
    "word": (
        r"ignore|disregard|forget|overrid|bypass|overrule|pay no attention|obey|reveal|system|prompt|instruct|directive|developer|jailbr|guideline"
        r"|assistant|chatgpt|claude|gemini|copilot|language model|chatbot|act as|pretend|roleplay|from now on|you are now|your new|your real"
        r"|exfiltrat|im_start|im_end|<<sys|endoftext|start_of_turn|anything now|execute_python|submit_html|when summar|before summar"
        r"|ignorier|vergiss|missacht|anweisung|sprachmodell|oubli|consigne|instruc|instruç|olvid|descart|desconsider|esque|istruzion|dimentica|negeer|vergeet"
        r"|zignoruj|instrukcj|инструк|указани|игнор|забуд|інструк|talimat|忽略|无视|忘记|無視|指示|指令|무시|지시|تجاهل|التعليمات|निर्देश"
        r"|1gn0r|1nstruct|pr0mpt"
    ),
    "sign": (
        r"[^a-z]llm|[^a-z](ai|bot)[^a-z]|[^a-z ]/?inst[^a-z ]|do not (tell|inform|mention)"
        r"|[a-z0-9+/_-]{40}|[^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ]|[​-‏⁠-⁤]"
    ),
}
"""The same for a database, to be tried on small letters: what finds all that may be one, and much that is none.

Words stand apart from the rest: PostgreSQL takes half as long for the two.
"""
