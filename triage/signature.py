"""The signature below a text: what stands under its delimiter, and the line that a telephone or a mail program adds.

A line of dashes, and "Envoyé par ...", are a customer's own words as often: only what looks like a signature is taken for one.
"""

from __future__ import annotations

import re

_MAX_LINE = 600
_MAX_SIGNATURE = 15  # lines with text
_MAX_BUSINESS_CARD = 6  # lines with text below a rule

_DELIMITER = re.compile(r"^\s*(?:--|—|––|__)\s*$")
_SIGN_RULE = re.compile(r"^\s*[_*=~-]{8,}\s*$")
# What a signature below a rule has: a way to reach somebody, a company, a place.
_CARD = re.compile(
    r"\w@\w|(?:https?://|www\.)[\w.-]{1,100}/?(?=[\s>)\]|]|$)"
    r"|\+\d{1,3}[ .(/-]{0,2}\d|\b0\d{1,4}(?:[ ./-]?\d{2,4}){3,6}\b|\b0\d{2,4}[ /-]\d{5,8}\b"
    r"|\b(?i:t[ée]l|tel[ée]fono|telefon|telefax|phone|mobile|mobil|fax|handy|cell|m[óo]vil|cellulare)\b\.?\s?:?\s?[\d(+]"
    r"|\b(?:GmbH|SARL|SASU?|EURL|Ltd|LLC|Inc|S\.?p\.?A|S\.?r\.?l|S\.L\.U?|S\.A\.|AG|KG|OHG|e\.K)\b"
    r"|\b\d{5} [A-ZÀ-Ý]|\b[A-Z]{1,2}\d{1,2}[A-Z]? \d[A-Z]{2}\b"
    r"|\b(?i:signature|signatur|confidenti|vertraulich|confidencial|riservat|mailing list)"
)
_CLOSING = re.compile(
    r"\s*(?:(?:bien )?cordialement|bien [àa] vous|salutations|(?:with )?(?:kind |best |warm )?regards?|yours|sincerely|"
    r"(?:mit )?(?:freundlichen?|besten?|viele[nr]?|liebe|herzliche) gr[üu](?:ß|ss)en?|mfg|(?:un )?(?:cordial(?:es)? )?saludos?|"
    r"atentamente|(?:cordiali |distinti )?saluti|cordialmente)\b.{0,20}$",
    re.I,
)
# Who asks, or speaks of what was bought, does not sign.
_REQUEST = re.compile(
    r"\?|:\s*$|\bj['’]|\bs['’]il|\bI(?=[ '’])"
    r"|\b(?i:je|vous|votre|vos|merci d[e']|veuillez|svp|pouvez|voulez|souhaite|colis|taille|facture|retour|"
    r"ich|wir|sie|ihre?n?|bitte|k[öo]nnen|m[öo]chte|pakete?|rechnung|anschrift|gr[öo](?:ß|ss)e \d\d|umtausch|r[üu]ckgabe|"
    r"we|you|your|please|can|could|want|would|orders?|parcel|package|invoice|address|adresse|size|returns?|"
    r"usted|por favor|quiero|quisiera|pueden?|podr[íi]an?|pedidos?|paquete|factura|direcci[óo]n|talla|gracias por|"
    r"vorrei|potete|pu[òo]|per favore|grazie (?:di|per)|ordine|pacco|fattura|indirizzo|taglia)\b"
    r"|\b(?i:annul|commande|rembours|livr(?:er|ez|aison)|re[çc]u[es]?\b|storn|bestell|liefer|erstatt|r[üu]ck(?:send|erstatt)|"
    r"cancel|refund|deliver|reembols|devol|devuelv|env[íi][aoe]|annull|rimbors|spedi|consegn)",
)
# "Nouvelle adresse", "meine neue Nummer:": what stands below is what it announces.
_ANNOUNCES = re.compile(
    r":\s*$|^\W*(?:\w+\W+){0,5}(?:adress\w*|address|direcci[óo]n|indirizzo|coordonn[ée]es|lieferadresse|lieferanschrift|iban|"
    r"num[ée]ro|number|nummer|n[úu]mero)(?:\W+\w+){0,3}\W*$",
    re.I,
)
_STATEMENT = re.compile(
    r"\b(?:is|are|was|were|has|have|had|does|did|not|est|sont|[ée]tait|ont|ne|pas|plus|ist|sind|war|waren|hat|habe|haben|wurde|"
    r"nicht|keine?|es|est[áa]n?|fue|ha|han|no|[èe]|era|hanno|non)\b"
    r"|\b[a-zß-ÿ][\w'’-]*(?:\s[a-zß-ÿ][\w'’-]*){3}",
)
_DISCLAIMER = re.compile(r"confidenti|vertraulich|confidencial|riservat", re.I)
_SENT_WITH = re.compile(
    r"^[\s*_>-]*(?:(?:"
    r"envoy[ée](?:e|es|s)? (?:(?P<par>par)\b|de(?:puis)?\b|d['’]|via\b|avec\b|[àa] partir (?:de\b|du\b|d['’])|sous\b|"
    r"[àa] l['’]aide (?:de|du|d['’]))"
    r"|sent (?:from|via|with|on|(?P<by>by))\b"
    r"|(?:gesendet|versendet|verschickt) (?:von|mit|[üu]ber|aus)\b"
    r"|diese (?:nachricht|e-?mail) wurde (?:von|mit)\b(?=.{1,90} gesendet)"
    r"|enviado (?:desde|con|a trav[ée]s de)\b"
    r"|inviato (?:dalla|dal|dall['’]|da|con|tramite)"
    r")\s?(?P<rest>\S.{1,90})|von (?P<von>.{2,60}) gesendet.{0,60})[\s*_.]*$",
    re.I,
)
_WORD_BEFORE = r"(?:[\w'’.&+-]{1,30},?\s)"
_ARTICLE_BEFORE = r"(?:[\w-]{0,12}['’])?"
_APP = re.compile(
    rf"\s*{_WORD_BEFORE}{{0,4}}?{_ARTICLE_BEFORE}(?:"
    r"outlook|hotmail|yahoo|aol|gmx|web\.de|t-online|gmail|icloud|proton ?mail|tuta(?:nota)?|zimbra|roundcube|"
    r"thunderbird|spark|sparrow|mailbird|mailspring|airmail|k-9|fairemail|typeapp|posteo|webmail|messagerie|windows|"
    r"(?:yahoo|apple|blue|aqua|my|orange|free|sfr|laposte|la poste|libero|alice|virgilio|tim|tiscali|aruba|vodafone|telekom|"
    r"freenet|zoho|proton|edison|canary|bell|mobile[nr]?) ?mail|mail[ -]app|(?:appli(?:cation)?|app) (?:mail|messagerie)|"
    r"app de correo|(?:mail|correo|posta|courrier) (?:for|pour|f[üu]r|para|per) windows|text messaging)\b",
    re.I,
)
_HARDWARE = re.compile(
    rf"\s*{_WORD_BEFORE}{{0,2}}?{_ARTICLE_BEFORE}(?:"  # more would say who sent it
    r"i ?phone|i ?pad|ipod|ios|imac|mac(?:book)?|apple watch|android|galaxy|samsung|huawei|honor|xiaomi|redmi|poco|"
    r"oppo|realme|oneplus|t-mobile|verizon|pixel|motorola|moto|nokia|lumia|xperia|sony|htc|lg|wiko|zte|fairphone|blackberry|smartphone|mobile|"
    r"mobiltelefon|handy|phone|portable|t[ée]l[ée]phone|telefon|tel[ée]fono|telefonino|cellulare|celular|m[óo]vil|"
    r"tablette|tablet|appareil|ger[äa]t|device|dispositivo|ordinateur|computer|laptop|pc)\b",
    re.I,
)
# A carrier, a town and a given name too, so that nothing else may stand there.
_ONLY_A_PROVIDER = re.compile(
    r"\s*(?:ma? |mon |my )?(?:orange|free|sfr|bouygues(?: telecom)?|numericable|libero|virgilio|alice|tiscali|fastweb|telekom|"
    r"vodafone|movistar|spike|nine|missive|newton|superhuman|canary|edison|unterwegs)\s*$",
    re.I,
)
_OF_A_PARCEL = re.compile(
    r"[?:;]\s|\b\d{1,2}(?:er|st|nd|rd|th)?\.?\s(?:de\s|of\s)?(?:janv|jan\b|janu|f[ée]v|feb|mar[sczt]|m[äa]rz|avr|apr|abr|ma[iy]\b|"
    r"mayo|maggio|mag\b|jui|jun|jul|lug|giu|ao[uû]t|aug|ago|sep|sett|o[ck]t|ott|nov|d[ée][cz]|dic|ene|gen)"
    r"|\b(?:(?:lun|mar|mercre|jeu|vendre|same)di|dimanche|(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|lunes|martes|mi[ée]rcoles|jueves|viernes|s[áa]bado|domingo|"
    r"(?:lune|marte|mercole|giove|vener)d[ìi]|domenica|yesterday|hier|gestern|ayer|ieri|"
    r"colis|paquet|carton|commande|livr\w{0,8}|re[çc]ue?s?|arriv\w{0,6}|perdue?s?|rembours\w{0,8}|photos?|recommand\w{0,4}|"
    r"pakete?s?|bestell\w{0,10}|liefer\w{0,10}|angekommen|erhalten|verloren|karton|fotos?|einschreiben|"
    r"parcel|package|box|order|deliver\w{0,3}|received|lost|never|not|warehouse|"
    r"paquete|caja|pedido|llegad\w|llega|recibid\w|perdid\w|entreg\w{0,6}|certificado|almac[ée]n|"
    r"pacco|scatola|ordine|ricevut\w|pers[oa]|consegn\w{0,6}|raccomandata|magazzino|"
    r"jamais|pas|nie|nicht|nunca|jam[áa]s|mai|non|mais|aber|pero|"
    r"dhl|ups|gls|dpd|hermes|colissimo|chronopost|mondial relay|correos|seur|mrw|poste italiane|brt|bartolini|fedex|tnt|"
    r"royal mail|evri|usps|deutsche post|entrep[ôo]t)\b",
    re.I,
)
_ADVERTISED = re.compile(
    r"^[\s*_>-]*(?:"
    r"(?:t[ée]l[ée]charge[rz]|obtenez|obtenir) .{0,20}outlook .{0,60}"
    r"|provenance\s*: courrier pour windows.{0,20}"
    r"|get outlook for \w+.{0,40}|download outlook .{0,40}|obtener outlook .{0,40}"
    r"|scarica outlook .{0,40}|ottieni outlook .{0,40}"
    r"|(?:garanti )?sans virus[. ].{0,60}|virus-?free[. ].{0,60}"
    r"|virenfrei[. ].{0,60}|libre de virus[. ].{0,60}|privo di virus[. ].{0,60}"
    r"|l'absence de virus dans ce courrier .{0,120}"
    r")[\s*_.]*$",
    re.I,
)


def without_signature(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines of a text, and those of its signature."""
    filled = [n for n, line in enumerate(lines) if line.strip()]
    # A signature is no longer than this, so that only the last lines can open one.
    last = filled[-_MAX_SIGNATURE - 1 :]
    first = max(last[0] if len(last) > _MAX_SIGNATURE else 0, filled[0] + 1 if filled else 0)
    for n in range(first, len(lines)):
        rest = [lines[m] for m in last if m > n]
        above = next((lines[m] for m in reversed(filled) if m < n), "")
        if _ANNOUNCES.search(above[:_MAX_LINE]) and not _CLOSING.match(above[:_MAX_LINE]):
            continue
        delimited = _DELIMITER.match(lines[n]) and (lines[n].strip() == "--" or not _is_request(rest))
        if delimited or (_SIGN_RULE.match(lines[n]) and _looks_signed(rest, lines[last[0] : n])):
            return _without_device(lines[:n], lines[n:])
    return _without_device(lines, [])


def _looks_signed(block: list[str], above: list[str]) -> bool:
    """Whether the lines below a rule are who somebody is and where; what could be a request is none."""
    if len(block) > _MAX_BUSINESS_CARD or any(len(line) >= 80 for line in block) or _is_request(block):
        return False
    if any(_STATEMENT.search(line) for line in block) and not any(_DISCLAIMER.search(line) for line in block):
        return False
    closing = next((line for line in reversed(above) if line.strip()), "")
    return (
        not block or any(_CARD.search(line) or _CLOSING.match(line) for line in block) or bool(_CLOSING.match(closing))
    )


def _is_request(block: list[str]) -> bool:
    return any(_REQUEST.search(line[:_MAX_LINE]) for line in block)


def _is_device_line(line: str) -> bool:
    """Whether a mail program or a telephone wrote "Envoyé de mon iPhone" there; "Envoyé par La Poste le 3 mars" is none."""
    if len(line) > _MAX_LINE:
        return False
    if _ADVERTISED.match(line):
        return True
    sent = _SENT_WITH.match(line)
    if not sent or _OF_A_PARCEL.search(line):
        return False
    tool = sent["von"] or sent["rest"]
    by = sent["par"] or sent["by"]  # a person or a carrier, or else a mail program
    return bool(_APP.match(tool) or (not by and (_HARDWARE.match(tool) or _ONLY_A_PROVIDER.match(tool))))


def _without_device(lines: list[str], signature: list[str]) -> tuple[list[str], list[str]]:
    """Take "Envoyé de mon iPhone" and its like off the last lines."""
    filled = [n for n, line in enumerate(lines) if line.strip()]
    taken = [n for n in filled[-3:] if n > filled[0] and _is_device_line(lines[n])]
    return [line for n, line in enumerate(lines) if n not in taken], [lines[n] for n in taken] + signature
