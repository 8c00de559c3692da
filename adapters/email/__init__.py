"""E-mail as a foreign network of the gateway: an MX and a submission server, and delivery by SMTP.

`adapter` is the face, `server` and `reception` take mail in, `parse` and `render` translate, `sender` sends.
Everything here imports ``gateway.sdk`` and nothing else of the gateway.
"""

from __future__ import annotations

import dns._features

# Nobody asks for DNS over HTTPS here, and dnspython would load an HTTP client for it: 7 MB.
dns._features.force("doh", False)
