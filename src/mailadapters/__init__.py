"""Adapters behind the ports of mailcore: stores, queues, providers, the clock. None imports another."""
