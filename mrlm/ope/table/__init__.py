"""Evaluate policies from a table of logged rounds: Parquet, CSV, obp feedback or VW dsjson."""

from mrlm.ope.table.estimates.result import TableEvaluation
from mrlm.ope.table.evaluate import evaluate_table
from mrlm.ope.table.rounds.logged import LoggedTable

__all__ = ["LoggedTable", "TableEvaluation", "evaluate_table"]
