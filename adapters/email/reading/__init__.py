"""Reading mails of strangers in processes of their own, under limits of time and memory.

`reader` decides where a mail is read and turns files into attachments or links, `pool` and `process` run the workers,
`worker` is what runs in them, `frames` what both sides say to each other. A worker imports this package's `frames` and
the pure parts of the adapter, and holds no secret.
"""
