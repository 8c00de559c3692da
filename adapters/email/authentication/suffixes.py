"""The public suffix list: names below which everybody may register. Only a net under what the DNS says.

An owner who forgets to mark a suffix as one (``psd=y``) would make all who registered below it speak for each other.
The list never lets anybody speak: a domain that it does not know is judged by the DNS alone.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def is_public_suffix(domain: str) -> bool:
    """True for a name of one label and for a listed suffix such as ``co.uk`` or ``github.io``.

    The first call reads the list, which comes with a package: some 40 ms and 4 MB.
    """
    return "." not in domain or _listed().publicsuffix(domain) == domain


@cache
def _listed() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False)
