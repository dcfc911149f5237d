"""The notebook with the network called Donnel: 64-40-10 on scikit-learn's digits."""
