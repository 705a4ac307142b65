"""How the admin shows days and times, as the documents print them, and in which order days are typed there.

Django adds 2026-04-03, which has one meaning.
"""

from django.conf import settings

DATE_FORMAT = SHORT_DATE_FORMAT = "j F Y"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "j F Y, H:i"
TIME_FORMAT = "H:i"
MONTH_DAY_FORMAT = "j F"
YEAR_MONTH_FORMAT = "F Y"

_ORDERS = {"day": ["%d", "%m", "%Y"], "month": ["%m", "%d", "%Y"], "year": ["%Y", "%m", "%d"]}
_NUMBERS = [separator.join(_ORDERS[settings.DATE_ORDER]) for separator in "/-. "]
_SHORT = [numbers.replace("%Y", "%y") for numbers in _NUMBERS if settings.DATE_ORDER != "year"]
_WORDS = ["%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y", "%B %d, %Y", "%b %d, %Y"]

# A field shows its day in the first format.
DATE_INPUT_FORMATS = [*_NUMBERS, *_SHORT, *_WORDS]
