"""Telling people outside of DM3 that a message waits for them: by mail and by web push.

`mail_address` and `subscription` read what people enter, `codes` proves a mail address, `mail_channel` and
`push_channel` send, `offered` holds what this relay offers, `notifier` decides whether and when. The routes are in
`gateway.relay.notifications`.
"""

from __future__ import annotations
