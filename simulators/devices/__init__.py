"""Device simulators, each written from its protocol document; they import nothing of gateway or drivers."""
