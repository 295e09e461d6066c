"""The Chinese of the page that tells what a table says of its policies."""

from __future__ import annotations

from collections.abc import Mapping

_PAGE = {
    "Off-policy evaluation of {table}": "{table} 的离线策略评估",
    "Off-policy evaluation of <bdi>{table}</bdi>": "<bdi>{table}</bdi> 的离线策略评估",
    "value": "价值",
    "verdict": "结论",
    "certified": "可信",
    "refused": "拒绝",
    "Refused": "被拒绝的估计",
    "{rows} {rounds} needed": "需要 {rows} 个{rounds}",
    "{rows} rows; values are of a {round}; unit of independence: {unit}.": (
        "{rows} 行；价值按每个{round}计；独立单位：{unit}。"
    ),
    "row": "行",
    "What to take": "该用哪个估计",
    "use {estimator}": "使用 {estimator}",
    "no estimator is certified for every policy": "没有一个估计量对每个策略都可信",
    "Paired differences": "成对的差",
    "Every estimate, refused ones with their values": "全部估计，被拒绝的也列出数值",
    "Tuned, for each half of the users on the other half": "每半用户的参数由另一半用户调得",
    "Overlap with the log": "与日志的重叠",
}

_PLOTS = {
    "Certified values in {objective}": "{objective} 的可信价值",
    "Certified paired differences in {objective}": "{objective} 的可信成对差",
    "{caption}, the first {shown} of {all}": "{caption}，共 {all} 个，此处为前 {shown} 个",
    "Importance weights of each {round}, those of weight 0 left out": (
        "每个{round}的重要性权重，权重为 0 的略去"
    ),
    "{caption}, of the first {shown} of {all} policies": (
        "{caption}，共 {all} 个策略，此处为前 {shown} 个"
    ),
    "{objective} a {round}": "每个{round}的 {objective}",
    "policy {policy} ({zero} of weight 0)": "策略 {policy}（{zero} 个权重为 0）",
}

_LIMITS = {
    "there is no user_id: each row is taken for a user of its own, and the intervals are too "
    "narrow if users come back": "没有 user_id：每一行被当作一个用户；如果用户会再来，区间就太窄",
    "there is no user_id: intervals are clustered by {unit}, and too narrow if users come back": (
        "没有 user_id：区间按 {unit} 聚类；如果用户会再来，区间就太窄"
    ),
    "{place} is given without {round_id}: each row is taken for a decision of its own": (
        "有 {place} 而没有 {round_id}：每一行被当作一个决策"
    ),
    "no DR": "没有 DR",
    "no DM": "没有 DM",
    "no doubly robust estimate": "没有双重稳健估计",
    "q_hat is given without v_hat, the predicted value under the policy: {without}": (
        "有 q_hat 而没有 v_hat（策略下的预测价值）：{without}"
    ),
    "v_hat is given without q_hat, the prediction for the shown item: {without}": (
        "有 v_hat 而没有 q_hat（对所展示物品的预测）：{without}"
    ),
    "policies share the predictions {columns}: their later choices differ, so that one prediction "
    "is the better for each of its own, q_hat_POLICY": (
        "几个策略共用预测 {columns}：它们之后的选择不同，最好各有各的预测 q_hat_POLICY"
    ),
}

OPE: Mapping[str, str] = {**_PAGE, **_PLOTS, **_LIMITS}
