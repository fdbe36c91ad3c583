"""The HTTP API: `app.create_app` makes it of a Mailer, `server.serve` runs it.

Nothing is imported here, as a worker reads `config` alone and has no use for the server's libraries.
"""
