"""From a sentence in the config to hypotheses, p-values and a verdict; and which seeds come next."""
