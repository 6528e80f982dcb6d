"""Names of persons, as values and within texts: by their shape, and by mimesis's lists of given names and surnames.

The lists hold 46 languages and countries; for what they have nothing of, endings of surnames and a few of the most
frequent names stand in.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any

_WORD = r"[^\W\d_](?:[^\W\d_]|['’`.\-‐])*\.?"
_SHAPE = re.compile(
    rf"(?:{_WORD})(?:(?:,\s*|\s+|・){_WORD}){{0,6}}(?:,?\s*(?:jr|sr|ii|iii|iv|md|phd|dds|dvm)\.?)?", re.IGNORECASE
)
_TITLE = (
    "mr mrs ms miss mx dr prof herr frau fräulein mme mlle m monsieur madame sr sra srta d dña don doña sig sigra "
    "dott ing dipl univ bsc msc ba ma mba jr ii iii iv v md phd dds dvm sir lady lord rev hon dhr mevr pan pani "
    "hr fru habil rer nat med g"
)
_TITLES = frozenset(_TITLE.split())
_COMPANY = re.compile(
    r"\b(?:inc|llc|ltd|limited|corp|corporation|company|co|plc|gmbh|ag|kg|kgaa|ohg|gbr|ug|mbh|se|e\.?v|sarl|sas|sa|snc|"
    r"eurl|s\.?a|s\.?l|s\.?r\.?l|s\.?p\.?a|slu|a\.?ş|şti|lda|ltda|eireli|s/a|bv|nv|vof|ab|as|oy|oyj|aps|a/s|sp|spk|spółka|sro|kft|"
    r"group|gruppe|holding|intl|airport|holdings|partners|associates|sons|brothers|gebr|stiftung|stichting|verein|bank|university|"
    r"hotel|airlines?|airways|aviation|industries|international|services|solutions|systems|technologies|consulting|"
    r"logistics|foundation|institute|college|school|hospital|store|shop|market|motors|energy|media|software|labs?|studio|"
    r"studios|ventures|capital|insurance|pharma|foods|trading|enterprises?|hermanos|asociados|compañía|cía|e figli|"
    r"frères|fils|et associés|zonen|ooo|оао|зао|ооо|ип|нко|ао)\b\.?|&"
    r"|\band\b|\bund\b|\bet\b|\by\b|\be\b|株式会社|有限会社|合同会社|有限公司|주식회사|\(주\)",
    re.IGNORECASE,
)
_PART = r"[^\W\d_](?:[^\W\d_]|['’‐-](?=[^\W\d_]))+"
_BIG = rf"(?![a-zß-öø-ÿ]){_PART}"  # most small letters are told at once, the others when a name is looked up
_PARTICLE = r"(?:van|von|vom|zu|der|den|de|del|della|di|da|dos|du|la|le|ter|ten|bin|al|el|y|e)"
_WITHIN = re.compile(
    rf"(?<![\w'’])({_BIG})(?: [^\W\d_]\.?)*(?: {_PARTICLE}){{0,2}} ({_BIG})((?: {_PARTICLE}){{0,2}} {_BIG})?"
)
_ADDRESSED = re.compile(
    rf"(?<!\w)(?:Mrs?|Ms|Miss|Dr|Prof|Herrn?|Frau|Monsieur|Madame|Mme|Señora?|Sra?|Dott|Sig(?:ra)?)\.? ({_PART})"
)
_SURNAME = re.compile(
    r"[^\W\d_]{2,}(?:[оеё]ва?|[иы]на?|ськ(?:ий|а)|[сц]ки(?:й|ая)?|[сц]ка|енко|чук|ович|евич"
    r"|όπουλος|οπούλου|ίδης|ίδου|ιάδης|ιάδου|άκης|άκη|ούδης|ούδη|έλης|έλη|άκος|άτος|άτου|ίτης|ίτη|αίος|άκου"
    r"|[scdz]k[iy]|[scdz]ká?|wicz|czyk|[oe]v[áa]?|oğlu|escu|eanu|sen|sson|dóttir|aitis|auskas|ienė|shvili|yan|ević|ović)",
    re.IGNORECASE,
)
"""Endings that surnames have in Slavic languages, Greek, Turkish, Romanian, Lithuanian and the North."""

_GIVEN = (
    "דוד יוסף משה אברהם יעקב יצחק שרה רחל לאה רבקה מרים אסתר חנה רות דבורה נועה תמר מאיה אביגיל יעל שירה עדי טליה אורי "
    "איתי נועם דניאל יונתן אריאל עומר גיא רון רועי אלון ערן יואב עידו גל שי אייל אסף עמית ליאור מיכל ענת אורלי רונית דנה "
    "הילה קרן לימור שרון סיגל אורית גלית דפנה נטע הדס רוני אלה ליה שמואל שלמה אליהו חיים מנחם מרדכי אהרן בנימין שמעון "
    "אפרים יהודה נתן גבריאל רפאל מיכאל מאיר ציון אלי יוסי מוחמד אחמד מחמוד פאטמה מרים נור אדם "
    "rahul amit rohit sanjay vijay rajesh suresh ramesh mahesh ganesh dinesh anil sunil ajay vivek deepak manoj pankaj "
    "ashok vinod arjun krishna kiran arun varun karan rohan nikhil aditya akash abhishek ankit gaurav saurabh vikram "
    "priya pooja neha anjali sunita anita kavita sneha divya swati shreya nisha rekha meena lakshmi geeta sita radha "
    "kavya aishwarya deepika shweta ritu jyoti asha usha lata meera ishaan aarav vihaan advait ananya diya saanvi aadhya "
    "ion gheorghe vasile nicolae dumitru ștefan mihai andrei alexandru ionuț cristian marian florin bogdan răzvan ciprian "
    "ioana andreea cristina mihaela elena gabriela raluca alina simona mădălina bianca ileana doina"
)
"""Of the most frequent given names in Israel, India and Romania."""

_FAMILY = (
    "כהן לוי מזרחי פרץ ביטון דהן אברהם פרידמן מלכה אזולאי כץ יוסף דוד עמר אוחיון חדד גבאי בן־דוד אדרי לוין טל קליין חן "
    "שפירא חזן משה אשכנזי אוחנה סגל גולן ברק שרעבי שלום פרידמן רוזנברג גולדברג וייס הורוביץ שטרן רוזן ויס אגבאריה "
    "sharma singh kumar patel gupta verma reddy rao nair iyer menon joshi desai shah mehta agarwal jain chopra kapoor "
    "malhotra khanna bose ghosh banerjee mukherjee chatterjee das dutta sen roy mishra pandey tiwari dubey yadav chauhan "
    "rathore naidu pillai kulkarni deshpande patil gowda hegde bhat kaur gill sandhu dhillon sethi arora bhatia "
    "popescu ionescu popa radu dumitru stan stoica gheorghe matei ciobanu rusu munteanu moldovan dinu marin tudor dobre "
    "barbu nistor florea oprea voicu lungu sava neagu georgescu constantin preda toma nemeș manole diaconu "
    "yılmaz kaya demir çelik şahin yıldız yıldırım öztürk aydın özdemir arslan doğan kılıç aslan çetin kara koç kurt "
    "özkan şimşek polat korkmaz erdoğan yavuz can acar şen aktaş güler yalçın güneş bozkurt bulut keskin ünal turan"
)
"""Of the most frequent surnames in Israel, India, Romania and Turkey."""

_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


@cache
def _listed() -> tuple[frozenset[str], frozenset[str]]:
    given: set[str] = set()
    family: set[str] = set()
    for folder in resources.files("mimesis.datasets").iterdir():
        file = folder / "person.json"
        if folder.name.startswith("_") or not file.is_file():
            continue
        person = json.loads(file.read_text(encoding="utf-8"))
        given |= _flat(person.get("names"))
        family |= _flat(person.get("surnames"))
    return frozenset(given | set(_GIVEN.split())), frozenset(family | set(_FAMILY.split()))


@cache
def _ordinary() -> frozenset[str]:
    """Return English words that are no surnames."""
    text = json.loads((resources.files("mimesis.datasets") / "en" / "text.json").read_text(encoding="utf-8"))
    words = {word.lower() for word in text["words"]} | {color.lower() for color in text["color"]}
    return frozenset(words - _listed()[1])


def _flat(names: Any) -> set[str]:
    lists = names.values() if isinstance(names, dict) else [names]
    return {
        part for names in lists for name in names or () for part in re.split(r"[\s\-‐]+", name.lower()) if len(part) > 1
    } | {name.lower() for names in lists for name in names or ()}


def is_name_shaped(text: str) -> bool:
    """Tell whether *text* may be a person's name: a few words of letters."""
    if not text.isascii():  # accents and vowels that are characters of their own
        text = "".join(char for char in text if unicodedata.category(char) not in ("Mn", "Mc"))
    return (2 <= len(text) <= 60 or bool(_ASIAN.fullmatch(text))) and bool(_SHAPE.fullmatch(text))


def is_of_two(text: str) -> bool:
    """Tell whether *text* is two to four words that all begin with a capital, but for particles in between."""
    found = [word for word in text.replace(",", " ").split() if word.lower().strip(".") not in _TITLES]
    if not 2 <= len(found) <= 4 or any(char.isdigit() for char in text):
        return False
    return not any(word[0].islower() for word in (found[0], found[-1])) and all(
        len(part) <= 15 for word in found for part in re.split(r"[-‐]", word)
    )


def is_led_by_name(text: str) -> bool:
    """Tell whether the first or the last word of *text* is a listed given name."""
    given, family = _listed()
    if _ASIAN.search(text):
        return _is_asian(text, given, family)
    found = _words(text)
    return bool(found) and (
        found[0] in given or found[0].partition("-")[0] in given or text.split()[-1].lower() in given
    )


def is_given(text: str) -> bool:
    """Tell whether *text* is a listed given name, or two, and nothing more."""
    return all(word in _listed()[0] for word in text.lower().split()[:3]) and not _ASIAN.search(text)


def is_surname_ended(text: str) -> bool:
    """Tell whether the last or the first word of *text* ends as surnames of many languages do."""
    found = text.replace(",", " ").split()
    return bool(found) and any(len(word) <= 30 and _SURNAME.fullmatch(word) for word in (found[0], found[-1]))


def is_of_ordinary_words(text: str) -> bool:
    """Tell whether the last word of *text* is an English one that is no surname: Anna Table."""
    given, _ = _listed()
    found = _words(text)
    return bool(found) and found[-1] in _ordinary() and found[-1] not in given


def variety(texts: Collection[str]) -> tuple[float, float]:
    """Return how many different first words *texts* have, and how many last ones, by the number of texts."""
    found = [words for words in map(_words, texts) if words]
    return len({words[0] for words in found}) / len(texts), len({words[-1] for words in found}) / len(texts)


def is_listed(text: str) -> bool:
    """Tell whether a word of *text* is a given name or a surname."""
    given, family = _listed()
    if _ASIAN.search(text):
        return _is_asian(text, given, family)
    return any(word in given or word in family for word in _words(text))


def is_full_name(text: str) -> bool:
    """Tell whether *text* is given name and surname, in either order: words of which one is listed as given."""
    given, family = _listed()
    if not is_name_shaped(text):
        return False
    if _ASIAN.search(text):
        return _is_asian(text, given, family) and len(text) >= 2
    found = _words(text)
    if not 2 <= len(found) <= 6:
        return False
    firsts = sum(word in given for word in found)
    return (firsts >= 1 and any(word in family or word in given for word in found[1:] if len(word) > 1)) or firsts >= 2


def ordinary_words(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of *texts*, in small letters, that stand there in small letters at least as often as capitalised."""
    small: Counter[str] = Counter()
    for text in texts:
        for word in re.findall(_PART, text):
            small[word.lower()] += 1 if word.islower() else -1
    return frozenset(word for word, more in small.items() if more >= 0)


def names_within(text: str, ordinary: frozenset[str] | None = None) -> Iterator[tuple[int, int]]:
    """Yield where persons are named in a *text*, each as begin and end: a listed given name and a surname after it.

    Both are capitalised, and so are those after "Mrs" and the like. With the *ordinary* words of the texts around it,
    every capitalised word that is none of them is taken for a surname; without, one that is listed. Names that stand
    in small letters, surname first, or in scripts without capitals are not seen.
    """
    given, family = _listed()
    for addressed in _ADDRESSED.finditer(text):
        if addressed[1][0].isupper():
            yield addressed.span()
    at = 0
    while match := _WITHIN.search(text, at):
        first, last = match[1], match[2]
        at = match.end(1)
        if not (first[0].isupper() and last[0].isupper() and first.lower() in given):
            continue
        listed = last.lower() in given or last.lower() in family
        usual = ordinary or frozenset()
        if (listed or ordinary is not None) and not {first.lower(), last.lower()} & usual:
            more = (match[3] or " ").split(" ")[-1]
            goes_on = more.lower() in family or (last.lower() in given and more.lower() not in usual)
            at = match.end(3) if more[:1].isupper() and goes_on else match.end(2)
            yield match.start(), at


def is_company(text: str) -> bool:
    """Tell whether *text* is a firm's name by what firms add to theirs."""
    return bool(_COMPANY.search(text))


def _words(text: str) -> list[str]:
    plain = re.split(r"[\s,.\-‐]+", text.lower().replace("’", "'"))
    found = [word for word in plain if word and word not in _TITLES]
    return [*found, *(word for word in re.split(r"[\s,.]+", text.lower()) if "-" in word)] if found else []


def _is_asian(text: str, given: frozenset[str], family: frozenset[str]) -> bool:
    parts = re.split(r"[\s,、]+", text)
    if len(parts) > 1:
        return parts[0] in family or parts[-1] in given or parts[-1] in family or parts[0] in given
    return (
        text in given
        or any(text[:size] in family and len(text) - size in (1, 2, 3) for size in (1, 2, 3))
        or text in family
    )
