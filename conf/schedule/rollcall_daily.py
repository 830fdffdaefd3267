"""Summaries of each day's documents, by daily-summaries.sh.

Written for Apache Airflow 3.0 and later with apache-airflow-providers-standard 1.2 and later. The worker
needs what the script needs: a checkout with its jar built, Java, and SPARK_HOME for a cluster.
"""

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

with DAG(
    dag_id="rollcall_daily",
    # A plain cron string has no data interval in Airflow 3: the script would get the day that has just
    # begun. Here the interval begins at 02:30 of the day before the run.
    schedule=CronDataIntervalTimetable("30 2 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),  # the first day to summarise
    catchup=True,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=15)},
    tags=["rollcall"],
):
    BashOperator(
        task_id="summaries",
        bash_command="/opt/rollcall/conf/schedule/daily-summaries.sh {{ data_interval_start | ds }}"
        " --batch-size 32 -- --master yarn",
        env={
            "SPARK_HOME": "/opt/spark",
            "INPUT": "hdfs:///documents",
            "OUTPUT": "hdfs:///summaries",
            "NO_INPUT_STATUS": "99",  # shown as skipped, BashOperator's skip_on_exit_code
        },
        append_env=True,
    )
