"""From event logs to datasets. The only room that knows dataframes."""
