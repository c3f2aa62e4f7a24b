"""Estimators for scikit-learn: fit, predict and score around fastgd.MLP, with scikit-learn's checks and conventions."""
