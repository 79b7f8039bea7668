"""The simulated world: an OMOP CDM 5.4 source whose true risks are known (METHODS 22 to 26).

Rates are raised on purpose: about 20% of the examples of `dhf_1y` and `paca_1y` are cases, where a real
population has 1 to 3% and under 1%, and a person of 65 dies within the year in about one of twelve. Nothing
from here says how common or how predictable a disease is.

Every hazard of a 30-day step reads only what was recorded and available before the step, so that the risk
given the record can be computed: `source.write_source` writes a world, `oracle.true_risk` its risks.
"""
