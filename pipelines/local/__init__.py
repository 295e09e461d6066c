"""Everything on one machine: the demonstration, Airflow, the pages of MLflow."""
