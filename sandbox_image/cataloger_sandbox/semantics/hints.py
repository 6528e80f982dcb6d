"""What names of columns and tables suggest of the values behind them. A suggestion alone labels nothing."""

import re
import unicodedata
from functools import cache

from cataloger_sandbox.names import table_words, words

_AGAIN = (
    r"_?(id|ids|key|count|cnt|num|flag|verified|confirmed|valid|status|type|kind|format|length|hash|sent|opened|"
    r"optin|opt_in|consent|enabled|domain|provider|template|subject|body|version|at|on|date|time|model|brand|os|plan)$"
)
"""What a name is about that only begins like one of these: ``email_verified``, ``phone_model``."""

_NAMED: dict[str, str] = {
    "email": r"e_?mail|mail|mail_address|correo|courriel|email_?addr(ess)?|e_mail_adresse",
    "phone": r"tele?phones?|phones?|phone_?(number|no|nr)|tel|tel_?(number|no|nr)|telefono?|telefon_?nummer|fone|"
    r"telefoon|telefone|mobile|mobile_?(number|no|nr|phone)|mobil|cell|cell_?phone|cellulare|celular|movil|handy|"
    r"fax|fax_?(number|no|nr)|msisdn|whats_?app|callback_?number|contact_?number|portable|rufnummer|puhelin|"
    r"telefonnr|telnr|phonenumber|mobilenumber|telno|phoneno|landline|caller|callee|caller_id",
    "ip": r"ip|ip_?v?[46]|ip_?addr(ess)?|remote_?(addr|ip|host)|client_?ip|source_?ip|src_?ip|dst_?ip|dest_?ip|"
        r"last_?ip|"
    r"login_?ip|user_?ip|peer|x_forwarded_for|host_?ip|server_?ip",
    "card": r"(credit_?|debit_?|bank_?|payment_?)?card(_?(number|no|nr|num|pan))?|cc|cc_?(number|no|num)|pan|"
    r"kreditkarte|carte|tarjeta|cardnumber|creditcard|kartennummer",
    "iban": r"iban|bank_?account|account_?iban|bank_?iban|konto|kontonummer|account_?(number|no)|iban_?(code|number)",
    "bic": r"bic|swift|swift_?code|bic_?code",
    "national_id": r"ssn|social_?security(_?(number|no))?|nin|nino|national_?(id|number|identity)(_?(number|no))?|"
    r"identity_?(number|no|card)|id_?(card|number)|passport(_?(number|no|nr))?|tax_?(id|number|no)|taxid|steuer_?id|"
    r"steuernummer|tin|itin|sin|dni|nie|nif|cpf|rut|curp|rfc|pesel|bsn|cpr|cnp|egn|oib|hetu|personnummer|"
    r"personal_?(id|code|number)|fodselsnummer|codice_?fiscale|fiscal_?code|nir|numero_?secu|insee|aadhaar|aadhar|"
    r"pan_?number|nric|my_?number|nhs(_?(number|no))?|tfn|ppsn?|avs|ahv|svnr|sozialversicherungsnummer|rrn|citizen_?id|"
    r"driv(er|ing)s?_?licen[cs]e(_?(number|no))?|licen[cs]e_?(number|no)|personal_?identity_?(number|code)|"
    r"fiscal_?number|identification_?number|sozvnr|sv_?nummer|rodne_?cislo|emso|jmbg|isikukood|asmens_?kodas|tckn",
    "date_of_birth": r"dob|birth_?(date|day)|date_?of_?birth|birthdate|born|born_?on|birth|geburtsdatum|geburtstag|"
        r"geboren|"
    r"date_?(de_?)?naissance|naissance|fecha_?(de_?)?nacimiento|nacimiento|data_?(di_?)?nascita|nascita|"
    r"data_?(de_?)?nascimento|nascimento|geboortedatum|data_?urodzenia|bday|fodselsdato|syntymaaika",
    "given_name": r"first_?names?|fname|given_?names?|forenames?|vornamen?|prenoms?|primer_?nombre|voornaam|imie|"
    r"middle_?(name|initial)|fornavn|fornamn|etunimi|firstname|nombres",
    "surname": r"last_?names?|lname|sur_?names?|family_?names?|nachnamen?|familienname|apellidos?|cognome|sobrenome|"
    r"achternaam|nazwisko|maiden_?name|etternavn|efternamn|sukunimi|lastname|mothers_?maiden_?name|apelido|geburtsname",
    "full_name": r"full_?names?|(person|people|customer|client|patient|employee|contact|user|member|student|teacher|"
    r"guest|passenger|driver|manager|owner|author|applicant|candidate|recipient|cardholder|card_?holder|"
    r"account_?holder|beneficiary|payee|doctor|physician|holder|buyer|seller|billing|shipping|sender|receiver|"
    r"consignee|agent|instructor|professor|spouse|parent|guardian|emergency_?contact|subscriber|participant|attendee|"
    r"tenant|resident|respondent|reviewer|reporter|assignee|approver|requester|kunden|mitarbeiter|legal|real|"
    r"display|given_and_family)_?names?|nom_?(complet|prenom)?|nombre_?completo|nome_?completo|fullname|"
    r"kunden_?name|name_?(of_?)?(customer|person|employee|patient)|customername|contactname|ship_?name|"
    r"imie_?i_?nazwisko|vor_?und_?nachname|naam|navn|nimi|person|nome_?cognome",
    "role": r"authors?|owner|manager|contact|contact_?person|recipient|beneficiary|payee|doctor|physician|nurse|"
        r"teacher|"
    r"student|passenger|guest|driver|sales_?(rep|person)|salesperson|assignee|assigned_?to|approver|approved_?by|"
    r"reviewer|reporter|created_?by|updated_?by|modified_?by|signed_?by|signatory|requester|requested_?by|customer|"
    r"client|patient|employee|member|attendee|participant|spouse|emergency_?contact|supervisor|instructor|professor|"
    r"buyer|seller|sender|receiver|consignee|subscriber|ansprechpartner|kunde|cliente|mitarbeiter|bearbeiter|who|"
    r"player|actor|director|artist|composer|speaker|witness|prescriber|tenant|landlord|applicant|candidate|lead|"
    r"reported_?by|handled_?by|agent|clerk|cashier|pilot|captain|insured|policy_?holder|cardholder|account_?holder",
    "name": r"name|nome|nombre|names|nm|bezeichnung|label|title",
    "address": r"(street_?|postal_?|home_?|mailing_?|billing_?|shipping_?|delivery_?|residential_?|work_?|full_?|"
    r"customer_?|ship_?to_?|bill_?to_?|ship_?|bill_?|legal_?|mail_?|permanent_?|current_?|contact_?|store_?|company_?)?"
    r"(address|addr|adresse?|direccion|indirizzo|endereco|adres|anschrift|osoite|adress)(_?(line)?_?[123])?|"
    r"street(_?name)?|strasse|rue|calle|via|rua|straat|ulica|address_?line_?[123]|addressline[123]|address[123]|"
    r"ship_to|bill_to|deliver_?to|sold_to|lieferadresse|rechnungsadresse|wohnort_?adresse|strasse_?hausnummer|domicile|residence|logradouro|domicilio",
    "postcode": r"zip|zip_?code|post_?code|postal_?code|plz|cap|cep|code_?postal|codigo_?postal|postleitzahl|"
        r"postnummer|"
    r"zipcode|postalcode|kod_?pocztowy|postinumero|pin_?code",
    "city": r"city|town|ort|stadt|ville|ciudad|citta|cidade|stad|miasto|municipality|locality|suburb|wohnort|"
    r".*_city|city_?name|birth_?place|place_?of_?birth|geburtsort",
    "state": r"state|province|region|county|bundesland|provincia|estado|departement|canton|prefecture|.*_state|"
    r"state_?(code|province)|district|land",
    "country": r"country|country_?name|nation|pays|pais|paese|staat|kraj|nationality|.*_country",
    "country_code": r"country|country_?(code|iso|id)|iso_?(country|code|2|3|alpha_?[23])?|.*_country(_?code)?|cc|land|"
    r"nationality|market|region|locale_?country|cntry|countrycode|alpha_?[23]|.*_iso|origin|destination|geo",
    "language_code": r"lang|language|language_?(code|iso)|locale|lang_?code|iso_?639|idioma|langue|sprache|"
    r".*_lang(uage)?|ui_?lang|.*_locale",
    "currency_code": r"currency|currency_?(code|iso|id)|ccy|curr|iso_?4217|wahrung|devise|moneda|valuta|moeda|"
        r".*_currency|"
    r".*_ccy|base|quote",
    "amount": r"(.*_)?(amount|price|cost|total|fee|balance|revenue|salary|income|budget|tax|discount|payment|subtotal|"
    r"betrag|preis|montant|importe|spend|sales|value|charge|tip|fare|wage|profit|net|gross)(_?(usd|eur|gbp|net|gross))?",
    "percentage": r"(.*_)?(pct|percent|percentage|prozent|share_?pct|perc)(_.*)?|.*_rate_?pct",
    "latitude": r"lat|latitude|.*_lat|.*_latitude|breitengrad|geo_?lat|lat_.*|latitud",
    "longitude": r"lon|lng|long|longitude|.*_lon|.*_lng|.*_longitude|langengrad|geo_?(lon|lng)|(lon|lng)_.*|longitud",
    "coordinates": r"coord|coords|coordinates|geo|geo_?point|lat_?l(o|n)ng?|latitude_?longitude|location|position|gps|"
    r"point",
    "year": r"year|yr|jahr|annee|anno|ano|.*_year|.*_yr|year_.*|fiscal_?year|birth_?year|vintage|baujahr|jahrgang",
    "url": r"url|uri|link|href|website|web_?site|homepage|.*_url|.*_link|webseite|permalink|image|avatar|photo|logo",
    "uuid": r"uuid|guid|.*_uuid|.*_guid",
    "mac": r"mac|mac_?addr(ess)?|.*_mac|ethernet|bssid",
    "hash": r"(.*_)?(hash|md5|sha|sha1|sha256|checksum|digest|etag|fingerprint|commit|sig|signature)",
    "company": r"(.*_)?(company|organi[sz]ation|org|business|firm|firma|employer|vendor|supplier|manufacturer|brand|"
    r"merchant|entreprise|empresa|azienda|unternehmen|bedrijf|carrier|airline|operator|publisher|agency|institution|"
    r"school|university|hospital|club|team|bank|store|shop|retailer|distributor|maker|label|studio|company_?name)"
    r"(_?names?)?",
    "thing": r"(.*_)?(product|item|article|artikel|sku|category|kategorie|genre|title|album|track|song|movie|film|book|"
    r"model|species|breed|color|colour|size|brand|department|dept|division|project|campaign|channel|event|course|"
    r"class|subject|topic|tag|tags|status|state|type|kind|level|tier|plan|package|unit|role|job|job_?title|position|"
    r"profession|occupation|device|browser|platform|os|airport|station|stop|line|ship|vessel|vehicle|make|hotel|"
    r"restaurant|venue|stadium|place|building|room|street_?type|neighbou?rhood|continent|ocean|river|mountain|planet|"
    r"element|gene|drug|disease|symptom|ingredient|recipe|dish|cuisine|game|season|month|weekday|day|holiday|religion|"
    r"ethnicity|gender|sex|dataset|table|column|schema|file|filename|folder|path|host|hostname|server|service|queue|"
    r"cluster|warehouse|branch|repo|repository|language|currency|county|province|slug|menu|theme|style|material|"
    r"fabric|flavou?r|variety|wine|beer|cheese|dessert|pet|animal|character|rank|grade|medal|sport|league|feature|"
    r"module|component|part|metric|attribute|property|field|setting|option|variable|parameter|code|symbol|ticker)"
    r"(_?names?)?",
    "username": r"user_?name|login|login_?name|user|handle|nick|nick_?name|screen_?name|account|account_?name|alias|"
    r"benutzername|uid|samaccountname|twitter|github|skype|user_?handle",
    "secret": r"(.*_)?(pass_?word|passwd|pwd|pass_?phrase|secret|secrets|api_?key|apikey|access_?key|secret_?key|"
    r"private_?key|auth_?token|access_?token|refresh_?token|bearer|token|tokens|credentials?|client_?secret|"
    r"session_?key|"
    r"encryption_?key|signing_?key|webhook_?secret|otp_?secret|totp|recovery_?code|kennwort|passwort|mot_?de_?passe|"
    r"contrasena|senha|wachtwoord|hasher_?secret|ssh_?key|service_?account|pat|auth)(_?(hash|hashed|enc|encrypted|value))?",
    "free_text": r"(.*_)?(comments?|notes?|remarks?|description|descr?|text|body|message|msg|content|summary|review|"
    r"feedback|details?|reason|bio|about|memo|abstract|kommentar|bemerkung|notiz|beschreibung|commentaire|comentario|"
    r"observaciones|nota|descripcion|subject|question|answer|transcript|conversation|ticket|log|payload|raw|info|misc)",
    "boolean": r"(is|has|can|was|should|allow|enable)_.*|.*_(flag|enabled|active|verified|confirmed|ind|yn)|active|"
        r"enabled|"
    r"flag|deleted|valid|opt_?in",
    "date": r"(.*_)?(date|day|datum|fecha|data|jour|dt|on)",
    "time": r"(.*_)?(time|timestamp|at|ts|uhrzeit|hora|heure|clock|datetime)",
    "version": r"(.*_)?(version|ver|release|build|firmware|rev|revision)(_.*)?",
    "order": r"(.*_)?(order|invoice|ticket|booking|reference|ref|tracking|shipment|po|serial|batch|lot|sku|part|"
        r"article|"
    r"item|product|case|claim|contract|policy|job|transaction|txn|trx|receipt|voucher|coupon|receipt|document|doc|"
    r"account|acct|customer|client|member|user|vendor|supplier|asset|device|imei|vin|ean|upc|gtin|isbn|external|"
    r"confirmation|auftrag|rechnung|bestell|vorgang|beleg|artikel)(_?(id|ids|no|nr|num|number|code|key|ref|nummer))?",
}  # fmt: skip

_CONTAINED = {"email", "phone", "iban", "card", "ip", "secret", "given_name", "surname", "full_name", "date_of_birth"}
"""Hints that may also stand at either end of a longer name, as in ``billing_email`` or ``phone_home``."""

_PEOPLE = (
    "customer client user person people employee staff member patient student teacher contact subscriber guest "
    "passenger driver author applicant candidate lead buyer tenant resident citizen donor volunteer player doctor "
    "physician nurse worker personnel owner attendee participant respondent instructor professor actor director "
    "artist friend family follower speaker recruiter prospect voter inmate victim witness account profile "
    "salesperson kunde kunden mitarbeiter benutzer person personen patienten schueler utilisateur personne "
    "cliente clientes usuario usuarios empleado empleados persona personas utente utenti dipendente funcionario "
    "pessoa klant klanten medewerker gebruiker pracownik klient osoba user_account app_user crew beneficiary "
    "insured pupil agent judge politician senator legislator athlete competitor rider coach"
)
PEOPLE = frozenset(_PEOPLE.split())


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {
        kind: re.compile(rf"(?:.*_)?(?:{pattern})(?:_.*)?" if kind in _CONTAINED else pattern)
        for kind, pattern in _NAMED.items()
    }


@cache
def hints(column: str) -> frozenset[str]:
    """Return the kinds of value that the name *column* suggests, by the names of semantic types and a few more.

    ``given_name``, ``surname`` and ``full_name`` are sure of a person, ``role`` and ``name`` may be one; ``thing`` and
    ``company`` are none; ``order`` is a number of something's.
    """
    found = words(_ascii(column))
    joined = "_".join(found)
    kinds = {kind for kind, pattern in _patterns().items() if pattern.fullmatch(joined)}
    if re.search(_AGAIN, joined):
        ending = "_".join(found[:-1])
        own = {kind for kind, pattern in _NAMED.items() if re.fullmatch(pattern, joined)}
        kinds -= {kind for kind in _CONTAINED if kind not in own and kind != "secret" and ending}
    if "address" in kinds and kinds & {"email", "ip"}:
        kinds.discard("address")
    if kinds & {"given_name", "surname", "full_name"}:
        kinds -= {"name", "thing"}
    return frozenset(kinds)


def is_of_people(table: str) -> bool:
    """Tell whether the rows of *table* are persons, by its name."""
    found = table_words(_ascii(table.rpartition(".")[2]))
    return bool(found) and (found[-1] in PEOPLE or (found[0] in PEOPLE and len(found) == 1))


def _ascii(name: str) -> str:
    plain = name.replace("ß", "ss").replace("ø", "o").replace("ł", "l").replace("Ł", "L")
    return "".join(char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))
