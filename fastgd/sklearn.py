from .estimators.classifier import MLPClassifier as MLPClassifier  # the public name of fastgd/estimators/
from .estimators.regressor import MLPRegressor as MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
