"""How days are typed in the admin: in the office's order. Django adds 2026-04-03, which has one meaning."""

from django.conf import settings

_ORDERS = {"day": ["%d", "%m", "%Y"], "month": ["%m", "%d", "%Y"], "year": ["%Y", "%m", "%d"]}
_NUMBERS = [separator.join(_ORDERS[settings.DATE_ORDER]) for separator in "/-. "]
_SHORT = [numbers.replace("%Y", "%y") for numbers in _NUMBERS if settings.DATE_ORDER != "year"]
_WORDS = ["%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y", "%B %d, %Y", "%b %d, %Y"]

# A field shows its day in the first format.
DATE_INPUT_FORMATS = [*_NUMBERS, *_SHORT, *_WORDS]
