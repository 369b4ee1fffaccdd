"""What every part stands on: ids, clock, config, errors, bus, log, metrics, database, ports."""
