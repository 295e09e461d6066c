"""Parts of the job that ingests nights: what is read, counted, known of before, and written."""
