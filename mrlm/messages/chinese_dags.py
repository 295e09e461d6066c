"""The Chinese of what Airflow shows of each DAG."""

from __future__ import annotations

from collections.abc import Mapping

DAGS: Mapping[str, str] = {
    (
        "One night: from raw logs to a judged, registered policy.\n\n"
        "Scheduled every night for the night before, and by hand with parameters. Each task "
        "runs one stage of `mrlm`; a stage whose inputs did not change says so and is done. "
        "A night that validation stops still publishes the champion's recommendations, and "
        "ends red.\n\n"
        "The schedule comes from `MRLM_SCHEDULE` (a cron line in UTC, or `manual`), the "
        "settings from `MRLM_SETTINGS`."
    ): (
        "一夜：从原始日志到经过评判并登记的策略。\n\n"
        "每夜按计划处理前一夜，也可带参数手动触发。每个任务运行 `mrlm` 的一个阶段；"
        "输入没有变化的阶段会说明这一点，随即完成。被校验停止的一夜仍会发布冠军的推荐，并以失败告终。\n\n"
        "计划来自 `MRLM_SCHEDULE`（UTC 的 cron 行，或 `manual`），设置来自 `MRLM_SETTINGS`。"
    ),
    (
        "A person decides on a judged version.\n\n"
        "It runs when a night asks for a review, or by hand with a run key; waiting for a "
        "person blocks no night. The form shows the decision memo; the ledger records the "
        "user who was logged in when they answered. No answer within the limit is a refusal. "
        "The promotion itself re-reads the registry: an approval of evidence that names "
        "another champion promotes nothing."
    ): (
        "由人对评判过的版本作出决定。\n\n"
        "某一夜请求审阅时运行，也可凭运行键手动触发；等待人的答复不会阻塞任何一夜。"
        "表单显示决策备忘；账本记录作答时登录的用户。期限内没有答复即为拒绝。"
        "晋升本身会重新读取注册表：若批准的证据所指的是另一个冠军，则什么也不晋升。"
    ),
    "Publish the champion's recommendations again, after a rollback or a promotion by hand.": (
        "在回滚或手动晋升之后，重新发布冠军的推荐。"
    ),
    (
        "Do the data stages of nights that wait for their turn to learn.\n\n"
        "To catch up: trigger it for the range, and `nightly_retrain` for each of its "
        "nights. While one night learns, the data of the next ones is read, and each finds "
        "its own data stages done. Every night before the range must have been read."
    ): (
        "为等待轮到自己学习的各夜先完成数据阶段。\n\n"
        "用于补跑：对整个区间触发它，并对其中每一夜触发 `nightly_retrain`。"
        "一夜在学习时，后面各夜的数据已在读取，轮到时各夜的数据阶段已经完成。区间之前的每一夜都必须已经读取。"
    ),
    "Run a range of past nights again: they learn and tune, judge nothing and promote nothing.": (
        "重新运行过去的一段夜晚：它们学习并调参，不作评判，也不晋升。"
    ),
    "Make the champion before this one, or an earlier one, champion again. By hand only.": (
        "让前一个冠军或更早的某个冠军重新成为冠军。只能手动触发。"
    ),
}
