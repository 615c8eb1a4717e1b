"""The one door to the network: Tor onion services, dialled and published through a local tor."""
