"""The whole of it, as a user runs it; what folds a journal beside it computes as `twin` does."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy
