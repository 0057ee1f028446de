"""The whole setting of a training, with reasons and a snippet of code."""
