"""The explanatory figures: drawn and made interactive from `results/explain`, measured nowhere."""
