"""Metrics for Prometheus: counters fed by the events of the engine, gauges read when somebody scrapes.

Each process exposes what it did itself, and what it sees of store and providers at that moment. Labels are closed
lists and the configured providers' names; no address, id or content is ever a label (I40). Only `scraping` needs
the library prometheus-client, and is loaded when a process has it.
"""
