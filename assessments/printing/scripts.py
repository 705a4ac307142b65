"""The language of a text in another script than the language that people type in."""

import re
import unicodedata
from collections import Counter

LATIN = re.compile(r"[\0-\u024f\u2000-\u22ff]*")
# The codes of scripts, by the first word of their letters' names.
CODES = {
    "LATIN": "Latn",
    "ARABIC": "Arab",
    "ARMENIAN": "Armn",
    "BENGALI": "Beng",
    "CJK": "Hani",
    "CYRILLIC": "Cyrl",
    "DEVANAGARI": "Deva",
    "ETHIOPIC": "Ethi",
    "GEORGIAN": "Geor",
    "GREEK": "Grek",
    "GUJARATI": "Gujr",
    "GURMUKHI": "Guru",
    "HANGUL": "Hang",
    "HEBREW": "Hebr",
    "HIRAGANA": "Hira",
    "KATAKANA": "Kana",
    "KHMER": "Khmr",
    "MYANMAR": "Mymr",
    "TAMIL": "Taml",
    "TELUGU": "Telu",
    "THAI": "Thai",
}
# The scripts of languages that are not written in Latin letters.
WRITTEN = {
    language: scripts.split()
    for scripts, languages in {
        "Arab": "ar fa ur ps",
        "Beng": "bn as",
        "Cyrl": "ru uk bg mk kk",
        "Deva": "hi mr ne",
        "Ethi": "am ti",
        "Grek": "el",
        "Hang": "ko",
        "Hani": "zh",
        "Hani Hira Kana": "ja",
        "Hebr": "he yi",
        "Taml": "ta",
        "Telu": "te",
        "Thai": "th",
    }.items()
    for language in languages.split()
}


def language_of(text: str, language: str) -> str:
    """Return the language, or ``und`` and the script of most letters when the language has another script."""
    usual = WRITTEN.get(language.partition("-")[0].lower(), ["Latn"])
    if usual == ["Latn"] and LATIN.fullmatch(text):
        return language
    names = (unicodedata.name(letter, "").partition(" ")[0].partition("-")[0] for letter in text if letter.isalpha())
    scripts = Counter(CODES[name] for name in names if name in CODES)
    script = scripts.most_common(1)[0][0] if scripts else ""
    return f"und-{script}" if script and script not in usual else language
