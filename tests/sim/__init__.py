"""A network of many nodes in virtual time: the real DHT and wire over modelled onion circuits."""
