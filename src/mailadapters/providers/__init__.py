"""Providers of e-mail over HTTP: each a pure pair of build and parse, all on one shared call."""
