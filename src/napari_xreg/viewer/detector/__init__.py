"""The main canvas is the detector: radiograph, DRR, heatmaps, landmarks and their ellipses."""
