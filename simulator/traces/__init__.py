"""Floor 2: recordings of bandwidth, processor load and arrivals, read into ``Trace``; one small file per format."""
