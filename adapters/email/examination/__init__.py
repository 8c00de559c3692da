"""The e-mail part of ``dm3-gateway doctor``: every DNS record, certificate and port that the mail domain needs."""
