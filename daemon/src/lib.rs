//! What the programs share: configuration, telemetry, TLS transport, shutdown, backoff.
