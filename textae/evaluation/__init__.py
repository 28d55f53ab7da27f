"""How good summaries are: ROUGE, baselines, measures of a model's own, audits, tables."""
