"""Events: publishing, subscribing, the log that is also the queue, the hub that feeds readers."""
