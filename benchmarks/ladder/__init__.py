"""`make benchmark`: the ladder of the method and its peers, on one protocol, resumable."""
