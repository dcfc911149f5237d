"""The five write-ups reproduced: what each measures, draws and finds wrong."""
