"""The Chinese of every message and name, by its English.

A template keeps the fields of its English; they may stand in another order.
"""

from __future__ import annotations

from collections.abc import Mapping

from mrlm.messages.chinese_dags import DAGS
from mrlm.messages.chinese_night import NIGHT
from mrlm.messages.chinese_ope import OPE
from mrlm.messages.chinese_page import PAGE

_JOINTS = {" ": "　", ", ": "、", "; ": "；", " and ": "和"}

_JUDGEMENT = {
    "champion": "冠军",
    "logger": "记录策略",
    "challenger's {name}": "挑战者的 {name} ",
    "difference in {objective}": "{objective} 的差",
    "difference to the logger in {objective}": "{objective} 相对记录策略的差",
    "difference to anchor version {version} in {objective}": (
        "{objective} 相对锚定版本 {version} 的差"
    ),
    "the evidence holds no estimate of the {what}": "证据中没有{what}的估计",
    "the interval of the {what} is certified": "{what}的区间可信",
    "the numbers are missing": "缺少数字",
    "the {what} is not certified: {why}": "{what}不可信：{why}",
    "the {what} is not certified: {why}; about {rows} decisions would be needed": (
        "{what}不可信：{why}；大约需要 {rows} 个决策"
    ),
    "advice, as {setting} says: {text}": "建议（按 {setting}，不因此拒绝）：{text}",
    "{text}. {remedy}": "{text}。{remedy}",
    "{text} ({why})": "{text}（{why}）",
    "look {look}, {nights} of {most} nights": "第 {look} 次查看，已用 {nights} 夜，最多 {most} 夜",
    "judged on {nights}, {rows} decisions": "依据 {nights} 评判，{rows} 个决策",
    "compared with champion version {version}": "与冠军版本 {version} 比较",
    "there is no champion to compare with: install one (the clone of the logger) first": (
        "没有可比较的冠军：请先安装一个（记录策略的克隆）"
    ),
    "{actor} rejected this challenger at an earlier look ({reason}): its test is over": (
        "{actor} 在先前的查看中否决了这个挑战者（{reason}）：对它的检验已结束"
    ),
    "the propensities of the gate nights are estimated, which "
    "gate.allow_estimated_propensities accepts": (
        "评判夜的展示概率是估计的，gate.allow_estimated_propensities 接受这一点"
    ),
    "the propensities of the gate nights are estimated: what the logger saw and the log does not "
    "hold may have made the difference. Log propensities, or set "
    "gate.allow_estimated_propensities if nothing else was seen": (
        "评判夜的展示概率是估计的：差异可能来自记录策略看到而日志没有的信息。请记录展示概率；"
        "如果它没有看到别的信息，可以设置 gate.allow_estimated_propensities"
    ),
    "the champion has not fallen short of its promise": "冠军没有低于它的承诺",
    "the champion fell short of its promise, and is better than what it replaced": (
        "冠军低于它的承诺，但仍好于它所替换的版本"
    ),
    "the champion falls short: {alarm}. '{command}' goes back to the one before it, and the next "
    "night compares with that one": (
        "冠军低于承诺：{alarm}。用 '{command}' 退回它之前的版本，下一夜将与那个版本比较"
    ),
    "no fresh gate night: every night whose north star is final was fitted on, tuned on or judged "
    "before; the next one that is final will be judged ('mrlm status' lists those that are not, "
    "and why)": (
        "没有新的评判夜：北极星已确定的每一夜都已用于拟合、调整或评判；下一个确定的夜将被评判"
        "（'mrlm status' 列出尚未确定的夜及其原因）"
    ),
    "{nights} already judged under another run key: a night is judged once": (
        "{nights} 已在另一个运行键下评判过：一夜只评判一次"
    ),
    "{objective}: challenger - {rival} = {value:+.5f} with {bound} at one-sided level {level:.3g} "
    "({look})": (
        "{objective}：挑战者 − {rival} = {value:+.5f}，单侧水平 {level:.3g}：{bound}（{look}）"
    ),
    "lower bound {bound:+.5f}": "下界 {bound:+.5f}",
    "too few effective rows for a lower bound": "有效行数太少，给不出下界",
    "{numbers}, above 0": "{numbers}，高于 0",
    "{numbers}, not above 0": "{numbers}，不高于 0",
    "guardrail {objective}: challenger - {rival} = {value:+.5f} with {bound} at {level:.0%}": (
        "护栏 {objective}：挑战者 − {rival} = {value:+.5f}，单侧水平 {level:.0%}：{bound}"
    ),
    "guardrail {objective}: {why}": "护栏 {objective}：{why}",
    "guardrail {objective} against the logger: {why}": "护栏 {objective}（相对记录策略）：{why}",
    "{numbers}, not below the accepted {margin:+.5f}": "{numbers}，不低于可接受的 {margin:+.5f}",
    "{numbers}, below the accepted {margin:+.5f}": "{numbers}，低于可接受的 {margin:+.5f}",
    "where this happens after every promotion, the champion chooses too narrowly for its log to "
    "tell of others: gate.trial_share lets a challenger choose a share while it is tested": (
        "如果每次晋升之后都这样，说明冠军的选择太窄，它的日志说明不了别的策略："
        "gate.trial_share 让挑战者在检验期间选择一部分展示"
    ),
    "nothing was tested, for tonight's challenger is the champion itself ({why}); its nights stay "
    "fresh for the next one": (
        "没有检验任何东西，因为今夜的挑战者就是冠军本身（{why}）；这些夜留给下一个挑战者"
    ),
    "the last {judgements} judgements could not tell whether the challenger is better: champion "
    "version {champion} chooses too narrowly for its log to tell of others, and as things are "
    "nobody will follow it. The line 'trial_share = {share:g}' under [gate] lets the challenger "
    "under test choose {share:.0%} of what 'mrlm serve' and the published lists show; {cost}. It "
    "is yours to set, for users then see a policy that is not proven yet": (
        "最近 {judgements} 次评判都说不出挑战者是否更好：冠军版本 {champion} 的选择太窄，它的日志"
        "说明不了别的策略，照此下去不会有后继者。在 [gate] 下写 'trial_share = {share:g}'，检验中"
        "的挑战者就会选择 'mrlm serve' 和发布列表所展示内容的 {share:.0%}；{cost}。是否设置由您"
        "决定，因为用户会看到一个尚未被证明的策略"
    ),
    "what that costs a night cannot be told from this log": "从这份日志说不出每夜的代价",
    "that costs at most {most:.4g} of a night's {all:.4g} {north_star}, if what it shows brought "
    "nothing": ("每夜 {all:.4g} {north_star} 中至多失去 {most:.4g}（如果它所展示的毫无收获）"),
    "{most}, and by the newest estimate, which is not certified, changes it by {change:+.4g}": (
        "{most}；按最新的估计（不可信）则变化 {change:+.4g}"
    ),
    "on trial since {since}: the challenger of run {maker}, version {version} by now, chooses "
    "{share:.0%} of what 'mrlm serve' and the published lists show, for at most {left} more of its "
    "{most} nights ({nights} over so far). The trial ends when the gate promotes the challenger or "
    "gives it up, with the last night, or at a person's word: 'mrlm decide {run_key} --reject "
    "--actor YOU --reason WHY'": (
        "自 {since} 起试用：运行 {maker} 的挑战者（现为版本 {version}）选择 'mrlm serve' 和发布列表"
        "所展示内容的 {share:.0%}，最多还有 {left} 夜（{most} 夜中已过 {nights} 夜）。当规则晋升或"
        "放弃该挑战者、最后一夜结束，或有人作出决定（'mrlm decide {run_key} --reject --actor YOU "
        "--reason WHY'）时，试用结束"
    ),
    "its trial begins, and no night is judged yet: {why}": "它的试用开始，尚未评判任何一夜：{why}",
    "the newest night's log tells {told:.1%} of what a night of the trial will, for whoever wrote "
    "it hardly ever shows a second choice": (
        "最新一夜的日志所能说明的只有试用一夜的 {told:.1%}，因为写下它的策略几乎从不展示第二选择"
    ),
    "the test goes on with the next night: {nights} of {most} so far": (
        "检验在下一夜继续：已用 {nights} 夜，最多 {most} 夜"
    ),
    "the test ends here: the next night brings another challenger": (
        "检验到此结束：下一夜会带来另一个挑战者"
    ),
    "{reason} (judged {at} on evidence {evidence}; the evidence or the rule has changed since, and "
    "a run key is judged once)": (
        "{reason}（{at} 依据证据 {evidence} 评判；此后证据或规则有变，而一个运行键只评判一次）"
    ),
    "{refusal}; more decisions alone would not change this, for the estimate itself is beyond it": (
        "{refusal}；仅靠更多决策不会改变这一点，因为估计值本身已越过界限"
    ),
    "{refusal}; how many decisions would show it cannot be said yet": (
        "{refusal}；还说不出需要多少决策才能证明"
    ),
    "{refusal}; about {needed} decisions in all would show it with probability {power:.0%}, if the "
    "truth is no further than a standard error below the estimate": (
        "{refusal}；如果真值不低于估计值减一个标准误，总共约 {needed} 个决策有 {power:.0%} 的概率"
        "能够证明"
    ),
    "{refusal}; about {needed} decisions in all, more than the {most} of a whole test, would show "
    "it with probability {power:.0%}, if the truth is no further than a standard error below the "
    "estimate": (
        "{refusal}；如果真值不低于估计值减一个标准误，总共约 {needed} 个决策（多于一次完整检验的 "
        "{most} 个）有 {power:.0%} 的概率能够证明"
    ),
    "none of {groups} groups is shown to be worse off": ("{groups} 个群体中，没有一个被证明变差"),
    "worse off: {harmed}. A person who accepts that may approve this version; to keep a group as "
    "it is, serve it the champion": (
        "变差的有：{harmed}。接受这一点的人可以批准这个版本；要让某个群体保持原样，请继续用冠军"
        "服务它"
    ),
    "{objective} of {group} by {value:+.5f}, at most {upper:+.5f}": (
        "{group}的 {objective} 变化 {value:+.5f}，至多 {upper:+.5f}"
    ),
    "{harm}, below the accepted {margin:+.5f}": "{harm}，低于可接受的 {margin:+.5f}",
    "The next night asks again; or a person who accepts the anchor's loss moves it with 'mrlm "
    "anchor set VERSION', or approves this version": (
        "下一夜会再次检查；或者由接受相对锚的损失的人用 'mrlm anchor set VERSION' 移动锚，或批准"
        "这个版本"
    ),
    "the evidence is anchored to version {version}, and the anchor is version {anchor} now: the "
    "next night compares with that one": (
        "证据锚定在版本 {version}，而现在的锚是版本 {anchor}：下一夜将与它比较"
    ),
    "{objective}: challenger - anchor version {version} = {value:+.5f} {measured} with {bound} at "
    "one-sided level {level:.3g}": (
        "{objective}：挑战者 − 锚定版本 {version} = {value:+.5f}（{measured}），单侧水平 "
        "{level:.3g}：{bound}"
    ),
    "the accepted {margin:+.5f}": "可接受的 {margin:+.5f}",
    "{numbers}, not below {accepted}": "{numbers}，不低于 {accepted}",
    "{numbers}, below {accepted}": "{numbers}，低于 {accepted}",
    "on the same rows": "在相同的行上",
    "as the sum of the promotions of {links} and tonight's difference": (
        "{links} 各次晋升与今夜之差的总和"
    ),
}

_CERTIFICATION = {
    "{estimator} covers its own target, not the policy's value: its bias has no bound": (
        "{estimator} 覆盖的是它自己的目标，而不是策略的价值：它的偏差没有界"
    ),
    "{policy}: {why}": "{policy}：{why}",
    "{policy}: no row has a known {objective}": "{policy}：没有一行的 {objective} 是已知的",
    "{policy}: every importance weight is 0": "{policy}：所有重要性权重都是 0",
    "{policy}: the importance weights or their sum are not finite": (
        "{policy}：重要性权重或其总和不是有限数"
    ),
    "{numbers} of {objective} not finite: the log does not determine the estimate, or its scores "
    "are too large for floating point": (
        "{objective} 的 {numbers} 不是有限数：日志不足以确定估计，或其分数超出浮点数范围"
    ),
    "{mass:.1%} of its probability is on candidates the logger never shows (at most {most:.1%})": (
        "它有 {mass:.1%} 的概率落在记录策略从不展示的候选上（至多 {most:.1%}）"
    ),
    "the mean importance weight is {mean:.3f} with standard error {error:.3f}, not 1: the "
    "propensities are wrong or the logger does not support the policy": (
        "平均重要性权重为 {mean:.3f}，标准误 {error:.3f}，而不是 1：展示概率有误，或记录策略不支持"
        "该策略"
    ),
    "the mean importance weight is {mean:.3f}, below 1 by more than {reach:.3f}: the heavy weights "
    "may be missing from the log": (
        "平均重要性权重为 {mean:.3f}，比 1 低了不止 {reach:.3f}：日志中可能缺少大的权重"
    ),
    "effective sample size": "有效样本量",
    "effective sample size expected of the propensities": "按展示概率预期的有效样本量",
    "{what} {effective:.0f} of {rows} rows (at least {least:.0f})": (
        "{what} {effective:.0f}，共 {rows} 行（至少 {least:.0f}）"
    ),
    "one row has {share:.0%} of all weight (at most {most:.0%})": (
        "一行占全部权重的 {share:.0%}（至多 {most:.0%}）"
    ),
    "effective number of users {effective:.0f} of {users} (at least {least:.0f})": (
        "有效用户数 {effective:.0f}，共 {users}（至少 {least:.0f}）"
    ),
    "{effective:.1f} effective rows with weight and a {objective} other than 0 (at least "
    "{least:g}; {unweighted} unweighted)": (
        "有权重且 {objective} 不为 0 的有效行数为 {effective:.1f}（至少 {least:g}；未加权 "
        "{unweighted} 行）"
    ),
}

_HINDCAST = {
    "version {version}: predicted {predicted:+.5f} (at least {promised:+.5f}), realised "
    "{realised:+.5f} ({lower:+.5f} to {upper:+.5f}) on {nights}": (
        "版本 {version}：预测 {predicted:+.5f}（至少 {promised:+.5f}），在 {nights} 实现 "
        "{realised:+.5f}（{lower:+.5f} 至 {upper:+.5f}）"
    ),
    "no night": "没有任何一夜",
    "{told}; at one-sided level {level:.3g} it falls short of {promise} by {least:.5f} at least": (
        "{told}；在单侧水平 {level:.3g} 上比{promise}至少低 {least:.5f}"
    ),
    "its promise": "它的承诺",
    "0, for it was promoted uncertified,": " 0（它晋升时并无可信的估计）",
    "{alarm}: roll back": "{alarm}：请回滚",
    "{alarm}, and is better than what it replaced all the same": "{alarm}，但仍好于它所替换的版本",
    "{told}; the realised lift is not certified, no verdict": "{told}；实现的提升不可信，不作判定",
    "{told}; no verdict before {least_nights} nights": "{told}；满 {least_nights} 夜之前不作判定",
}

_GROUPS = {
    "scene {group}": "场景 {group}",
    "position {group}": "位置 {group}",
    "the other positions": "其余位置",
    "users with {group} before": "此前有 {group}的用户",
    "users with another history": "历史属于其余情形的用户",
    "0 items": "0 个物品",
    "1 to 9 items": "1 至 9 个物品",
    "10 items or more": "10 个或更多物品",
    "new items": "新物品",
    "users with at most {events} events": "至多有 {events} 个事件的用户",
    "{objective}, {group}": "{objective}，{group}",
}

_LEFT_OUT = {
    "version {version} ({run_key}): {why}": "版本 {version}（{run_key}）：{why}",
    "nothing is known of {what}": "对 {what} 一无所知",
    "the ledger names no version or no champion that it replaced": (
        "账本没有记下版本，或没有记下它所替换的冠军"
    ),
    "version {version} is no longer in the registry": "版本 {version} 已不在注册表中",
    "it was judged when the settings measured {objective} in another way": (
        "它被评判时，设置对 {objective} 的计量方式与现在不同"
    ),
    "its evidence is not the one that it was promoted on": "它的证据不是晋升时所依据的证据",
    "its evidence has no {estimator} difference in {objective}": (
        "它的证据中没有 {objective} 的 {estimator} 差"
    ),
    "champion version {version} was trained on the embeddings of another model than "
    "embedding.model names now; keep the model, or start a registry of its own for the new one "
    "(registry.model) with 'mrlm bootstrap'": (
        "冠军版本 {version} 是用另一个模型的向量训练的，不是 embedding.model 现在所写的模型；请保留"
        "原模型，或用 'mrlm bootstrap' 为新模型另建注册表（registry.model）"
    ),
}

_WARNINGS = {
    "the challenger was learned on estimated propensities": "挑战者是用估计的展示概率学得的",
}

_META_UPDATE = {
    "the lower bound of the lift of {objective} is {bound:.4g}": (
        "{objective} 提升的下界为 {bound:.4g}"
    ),
    "no evidence: no direction from the champion is significant (T^2 = {t_squared:.1f}, needed "
    "{needed:.1f} with {rank} directions), nor is the lift of tonight's head or of the last "
    "weights over tonight's heads": (
        "没有证据：从冠军出发没有一个方向是显著的（T^2 = {t_squared:.1f}，{rank} 个方向需要 "
        "{needed:.1f}），今夜预测头的提升、上次权重用于今夜预测头的提升也都不显著"
    ),
    "no evidence: no weights within the limits are shown to raise {objective}, which is other "
    "than 0 in {other} of {rows} decisions of the tune nights": (
        "没有证据：未能证明限制之内的任何权重会提升 {objective}；在调整夜的 {rows} 个决策中，"
        "它只在 {other} 个里不为 0"
    ),
    "{reason}; the solver reported: {failure}": "{reason}；求解器报告：{failure}",
    "the best of a grid has a lift less one standard error of {bound:.4g}": (
        "网格中最好的点，其提升减一个标准误为 {bound:.4g}"
    ),
    "the lower bound of one policy's lift is {bound:.4g}": "单个策略的提升下界为 {bound:.4g}",
    "{reason}: no weight is positive": "{reason}：没有正的权重",
    "{reason}: no scale is within {limits}": "{reason}：没有一个尺度满足{limits}",
    "the regression of {objective} on the other objectives": "{objective} 对其他目标的回归",
    "every objective has the same weight": "每个目标的权重相同",
    "the newest night's importance-weighted lift is {value:.4g}": (
        "最新一夜按重要性加权的提升为 {value:.4g}"
    ),
    "no permitted point of the grid has a larger importance-weighted mean": (
        "网格中没有一个允许的点有更大的重要性加权均值"
    ),
    "the lower bound of the lift that is kept, {least:.3g}": "要保留的提升下界 {least:.3g}",
    "the KL cap of {cap:g} nats": " {cap:g} nat 的 KL 上限",
    "an effective sample size of {least:.0f} of {rows} decisions": (
        "有效样本量 {least:.0f}（共 {rows} 个决策）"
    ),
    "a mean entropy of {least:.2f} of {uniform:.2f} nats": (
        "平均熵 {least:.2f}（均匀时 {uniform:.2f} nat）"
    ),
    "a mean {objective} of {least:.3g}": " {objective} 的均值 {least:.3g}",
    "an effective number of {least:.4g} {groups}": "{groups}的有效数目 {least:.4g}",
    "the guardrail {objective}": "护栏 {objective}",
    "what {group} would lose of {objective}": "{group}在 {objective} 上会受的损失",
    "{reason}; a step that is better for all was held back by {losses}": (
        "{reason}；对全体更好的一步受限于{losses}，没有迈出"
    ),
    "the largest sum of the weights, {scale:g}": "权重之和的最大值 {scale:g}",
}

SENTENCES: Mapping[str, str] = {
    **_JOINTS,
    **_JUDGEMENT,
    **_CERTIFICATION,
    **_HINDCAST,
    **_GROUPS,
    **_LEFT_OUT,
    **_WARNINGS,
    **_META_UPDATE,
    **PAGE,
    **OPE,
    **DAGS,
    **NIGHT,
}

_STRATEGIES = {
    "pessimistic bound": "悲观下界",
    "fixed weights": "固定权重",
    "regression weights": "回归权重",
    "ips grid": "IPS 网格",
    "bound grid": "下界网格",
    "normal bound": "正态下界",
}

_FIGURES = {
    "effective sample size": "有效样本量",
    "effective users": "有效用户数",
    "effective share": "有效份额",
    "expected sample size": "预期样本量",
    "largest weight": "最大权重",
    "largest weight share": "最大权重份额",
    "mean weight": "平均权重",
    "mean weight standard error": "平均权重的标准误",
    "unsupported mass": "无支持的概率",
    "nonzero": "非零行",
    "matched": "匹配行",
    "tail rounds": "尾部轮数",
    "tail users": "尾部用户",
    "weighted terms": "加权的各项",
    "yes": "是",
    "no": "否",
    "mean reward": "平均奖励",
    "mean prediction": "平均预测",
    "calibration error": "校准误差",
    "auc": "AUC",
    "auc within users": "用户内 AUC",
    "log loss": "对数损失",
    "squared error": "平方误差",
    "explained": "解释的方差",
    "users": "用户",
    "rows": "行",
    "estimators": "估计量",
    "decision": "决策",
    "decisions": "决策",
    "slate": "列表",
    "slates": "列表",
    "session": "会话",
    "sessions": "会话",
    "policy": "策略",
    "objective": "目标",
}

NAMES: Mapping[str, str] = {
    **_STRATEGIES,
    **_FIGURES,
    "Typical": "典型的",
    "One in ten moves more": "每十个中有一个变化更大",
    "Moves most": "变化最大的",
    "challenger": "挑战者",
    "champion": "冠军",
    "logger": "记录策略",
    "uniform": "均匀策略",
    "anchor": "锚",
    "item mean": "物品均值",
    "providers": "提供方",
    "categories": "类别",
    "effective providers": "有效提供方数",
    "effective categories": "有效类别数",
    "effective items": "有效物品数",
    "popularity": "流行度",
    "recent popularity": "近期流行度",
    "nearest neighbours": "最近邻",
    "north star": "北极星",
    "guardrail": "护栏",
    "better": "变好",
    "worse": "变差",
    "not known": "尚不清楚",
    "all": "全部",
    "scene": "场景",
    "position": "位置",
    "history": "历史",
    "other": "其他",
    "0 items": "0 个物品",
    "1 to 9 items": "1 至 9 个物品",
    "10 items or more": "10 个或更多物品",
    "raw": "原始",
    "clean": "干净",
    "duplicate": "重复",
    "late": "迟到",
    "quarantined": "隔离",
    "bot": "机器人",
    "impressions": "展示",
    "feedback": "反馈",
    "items": "物品",
    "encoded": "个新编码",
    "reused": "个复用",
    "passed": "通过",
    "stopped": "停止",
    "critical": "严重",
    "warning": "警告",
    "hour": "小时",
    "data docs": "数据文档",
}
