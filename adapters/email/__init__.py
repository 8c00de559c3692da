"""E-mail as a foreign network of the gateway: an MX and a submission server, and delivery by SMTP.

`adapter` is the face, `server` and `reception` take mail in, `parse` and `render` translate, `sender` sends.
Everything here imports ``gateway.sdk`` and nothing else of the gateway.
"""
