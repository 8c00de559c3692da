"""How the parts are joined to one node: each module here joins one of them to what it stands on.

Only `app.py` uses these. Constructors do no I/O, so neither does what is here, unless its docstring says so.
"""

from __future__ import annotations
