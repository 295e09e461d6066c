"""The Chinese of the review page's own words, its plots and the sentences made for it."""

from __future__ import annotations

from collections.abc import Mapping

_ANSWER = {
    "not judged yet": "尚未评判",
    "the gate would promote it": "晋升规则允许晋升",
    "the gate refuses it": "晋升规则拒绝晋升",
    "its trial begins, and no night is judged yet": "它的试用开始，尚未评判任何一夜",
    "the gate refuses it, and the test goes on": "晋升规则暂时拒绝，检验继续进行",
    "nothing is tested: the challenger is the champion itself": "没有检验：挑战者就是冠军本身",
    "{answer}; {beaten}": "{answer}；{beaten}",
    "it beats every simple baseline": "它胜过每一个简单基线",
    "not shown to beat {baseline}: difference {difference}": (
        "未能证明胜过{baseline}：差为 {difference}"
    ),
    "How much {north_star} would change cannot be told from this log yet.": (
        "从这份日志还说不出 {north_star} 会改变多少。"
    ),
    "{counted}: {ours} with the challenger, {theirs} with the champion, which is {change}.": (
        "{counted}：挑战者为 {ours}，冠军为 {theirs}，即{change}。"
    ),
    "{north_star} of {of} shown items": "每展示 {of} 个物品的 {north_star}",
    "{north_star} a shown item": "每个展示物品的 {north_star}",
    "{north_star} a shown item in {unit}": "每个展示物品的 {north_star}（单位：{unit}）",
    "{objective} counts what follows in the session too: the rewards of each later request, "
    "discounted by {discount} once more.": (
        "{objective} 还计入本次会话中后续的奖励：每个后续请求的奖励，逐次再乘以 {discount}。"
    ),
    "between {lower} and {upper}: no proven change": "介于 {lower} 与 {upper} 之间：未证明有变化",
    "{size} more (between {least} and {most})": "多 {size}（介于 {least} 与 {most} 之间）",
    "{size} fewer (between {least} and {most})": "少 {size}（介于 {least} 与 {most} 之间）",
    "{size} less (between {least} and {most})": "少 {size}（介于 {least} 与 {most} 之间）",
    "an unknown number": "未知",
    "{value} (no interval: not certified)": "{value}（无区间：不可信）",
    "{value} (no interval: too few effective rows to say)": "{value}（无区间：有效行数太少）",
    "{why}; about {rows} decisions needed": "{why}；大约需要 {rows} 个决策",
    "{objective} of {group}": "{group}的 {objective}",
}

_BANNERS = {
    "Night {night}": "{night} 夜",
    "Run key <code>{run_key}</code>, evidence <code>{evidence}</code>, code <code>{code}</code>": (
        "运行键 <code>{run_key}</code>，证据 <code>{evidence}</code>，代码 <code>{code}</code>"
    ),
    "Version {version} falls short of what its promotion promised": (
        "版本 {version} 低于它晋升时的承诺"
    ),
    "It is champion, and is shown to be better than what it replaced: the night goes on.": (
        "它是冠军，并且被证明好于它所替换的版本：该夜照常进行。"
    ),
    "It is champion. To go back: <code>{command}</code>. Until then, or until a person approves a "
    "version, nobody is promoted.": (
        "它是冠军。要退回：<code>{command}</code>。在此之前，或在有人批准某个版本之前，不会晋升"
        "任何版本。"
    ),
    "It is not champion.": "它不是冠军。",
    "Propensities are estimated": "展示概率是估计的",
    "The log of the gate nights lacks propensities. Every estimate below rests on estimated ones; "
    "the bounds below say how much hidden confounding would matter.": (
        "评判夜的日志缺少展示概率。下面每个估计都依据估计出的概率；下面的界说明隐藏的混杂会有多大"
        "影响。"
    ),
    "Warnings": "警告",
    "On this page names, code and what earlier nights recorded stay as they were written; the "
    "ledger and the memo are in English.": (
        "本页中，挑战者即 challenger，冠军即 champion，记录策略即 logger。名称、代码和先前各夜"
        "记录的文字保持原样；账本和备忘录使用英文。"
    ),
}

_GROUPS = {
    "For whom": "对谁而言",
    "Shown to be worse off: {groups}.": "被证明变差：{groups}。",
    "No group is shown to be worse off.": "没有群体被证明变差。",
    "Challenger less champion in {north_star}, group by group; the table has the numbers": (
        "各群体中挑战者减冠军的 {north_star}；数字见表"
    ),
    "no change": "无变化",
    "Of one more group the log does not tell enough yet.": "另有一个群体，日志还不足以说明。",
    "Of {groups} more groups the log does not tell enough yet.": (
        "另有 {groups} 个群体，日志还不足以说明。"
    ),
    "The numbers": "数字",
    "Paired on the same decisions. All intervals together hold with {level:g} %: a group looks "
    "certain only where it still is among so many.": (
        "在相同的决策上配对。所有区间同时成立的概率为 {level:g} %：只有在这么多群体中仍然确定的，"
        "才显示为确定。"
    ),
    "What users would see": "用户会看到什么",
    "{moved:.0f} of 100 shown items would be others.": (
        "每展示 100 个物品，有 {moved:.0f} 个会换成别的。"
    ),
    "Of the items on offer {then:.0f} % would be expected at least once among these decisions, now "
    "{now:.0f} %.": (
        "在可供展示的物品中，预计有 {then:.0f} % 在这些决策中至少出现一次，现在是 {now:.0f} %。"
    ),
    "scene {scene}, position {position}": "场景 {scene}，位置 {position}",
    "item, position {position}": "物品，位置 {position}",
    "Items that win and lose": "得到和失去展示的物品",
    "Providers that win and lose": "得到和失去展示的提供方",
    "Categories that win and lose": "得到和失去展示的类别",
    "shows of 100 now": "现在每 100 次展示",
    "then": "之后",
    "change": "变化",
    "Expected shows on the decisions of the gate nights, the same candidates for both. The "
    "decisions are chosen by how much they move, and say nothing of whose they were.": (
        "评判夜各决策上的预期展示，两者的候选相同。决策按变化大小选出，不透露属于谁。"
    ),
}

_COMPARISON = {
    "Challenger against champion and logger": "挑战者与冠军、记录策略的比较",
    "objective": "目标",
    "challenger": "挑战者",
    "challenger - champion": "挑战者 − 冠军",
    "challenger - logger": "挑战者 − 记录策略",
    "accepted fall": "可接受的下降",
    "Paired on the same decisions ({estimator}), intervals clustered by user.": (
        "在相同的决策上配对（{estimator}），区间按用户聚类。"
    ),
    "The champion is version {version}.": "冠军是版本 {version}。",
    "The logger is whoever made each decision of the gate nights; its value is what was really "
    "shown.": "记录策略是作出评判夜每个决策的那个策略；它的价值就是真实展示的结果。",
    "No comparison: there is no champion yet.": "没有比较：还没有冠军。",
    "No comparison: the challenger is the champion itself.": "没有比较：挑战者就是冠军本身。",
    "No comparison: no gate night could be evaluated.": "没有比较：没有可评估的评判夜。",
    "Challenger against the anchor": "挑战者与锚的比较",
    "challenger - anchor": "挑战者 − 锚",
    "measured by": "测量方式",
    "sum of the promotions since": "此后各次晋升之和",
    "the same rows": "相同的行",
    "The anchor is version {version}: no chain of promotions may fall below it by more than the "
    "margins.": "锚是版本 {version}：任何一连串晋升都不得比它低出容许的幅度。",
    "{anchor} It is the champion.": "{anchor}它就是冠军。",
    "{anchor} Not measured on these rows: {why}.": "{anchor}在这些行上没有测量：{why}。",
    "Challenger against simple baselines": "挑战者与简单基线的比较",
    "baseline": "基线",
    "challenger - baseline": "挑战者 − 基线",
    "truth": "真值",
    "Each takes its best candidate, with the challenger's exploration floor, and was fitted on the "
    "fit nights. Paired on the same decisions ({estimator}); the verdict does not depend on "
    "them.": (
        "每个基线取它认为最好的候选，探索下限与挑战者相同，并在拟合夜上拟合。在相同的决策上配对"
        "（{estimator}）；判定不取决于它们。"
    ),
}

_BEYOND = {
    "The difference beyond these nights": "这些夜之外的差",
    "On the next night, {north_star}: {value} [{lower}, {upper}] at {level:g} %, with the luck of "
    "users and nights. Nights spread by {spread} (from {nights} nights).": (
        "下一夜的 {north_star}：{value} [{lower}, {upper}]（{level:g} %），包含用户和夜的偶然性。"
        "夜与夜之间的离散为 {spread}（来自 {nights} 夜）。"
    ),
    "Standard error clustered by user and by night: {error}.": (
        "按用户和按夜聚类的标准误：{error}。"
    ),
    "a true gain of": "真实增益",
    "decisions to see it": "看出它所需的决策数",
    "{share:g} % of the champion's": "冠军的 {share:g} %",
    "With chance {chance:g} %, at this look's one-sided level {level}; here are {rows}.": (
        "概率为 {chance:g} %，单侧水平为本次查看的 {level}；这里有 {rows} 个决策。"
    ),
    "Hindcast: what promotions promised and brought": "回顾：各次晋升的承诺与结果",
    "version": "版本",
    "replaced": "被替换",
    "promised at least": "承诺至少",
    "predicted lift": "预测的提升",
    "realised lift": "实现的提升",
    "on nights": "所在的夜",
    "ALARM": "警报",
    "kept": "守住",
    "no verdict": "不作判定",
    "left out: {promotion}": "略去：{promotion}",
    "Over {promotions} certified promotions, predicted and realised agree within both errors in "
    "{covered:.0f} % (expected {level:g} %); realised less predicted is {bias}. What is promoted "
    "for looking good is expected to bring somewhat less than it looked.": (
        "在 {promotions} 次可信的晋升中，预测与实现在两者误差内一致的占 {covered:.0f} %（预期 "
        "{level:g} %）；实现减预测为 {bias}。因为看起来好而晋升的，预计带来的会比看起来的略少。"
    ),
}

_SUPPORT = {
    "{north_star} of each policy": "各策略的 {north_star}",
    "policy": "策略",
    "estimator": "估计器",
    "value and interval": "价值和区间",
    "why no interval": "为何没有区间",
    "Diagnostics": "诊断",
    "Several loggers": "多个记录策略",
    "an unnamed policy": "一个未命名的策略",
    "The decisions were made by {loggers}. Each has its own logger's propensity, so the pooled "
    "estimates hold.": (
        "决策由 {loggers} 作出。每个决策都有自己记录策略的概率，因此合并的估计成立。"
    ),
    "The loggers' own differences weighed by their precision: {difference} ({estimator}).": (
        "各记录策略自己的差按精度加权：{difference}（{estimator}）。"
    ),
    "Support of the challenger in the log": "日志对挑战者的支持",
    "group": "群体",
    "decisions": "决策",
    "users": "用户",
    "effective": "有效",
    "largest weight": "最大权重",
    "mean weight": "平均权重",
    "p of mean 1": "均值为 1 的 p 值",
    "weight at 50, 90, 99, 99.9 %": "50、90、99、99.9 % 处的权重",
    "tail index": "尾指数",
    "unsupported": "无支持",
    "The largest weight is its share of all weights. A mean weight that is not 1 says that "
    "propensities are wrong or support is missing; a tail index below 2, that the variance of the "
    "weights is in doubt.": (
        "最大权重是它占全部权重的份额。平均权重不为 1，说明概率有误或缺少支持；尾指数低于 2，说明"
        "权重的方差存疑。"
    ),
    "Estimated propensities": "估计的展示概率",
    "{share:.1f} % of the decisions have an estimate; log loss {loss}, of equal chances {equal}. "
    "Under them the uniform policy has a mean weight of {weight} (p of 1: {p}).": (
        "{share:.1f} % 的决策使用估计；对数损失 {loss}，等概率时为 {equal}。据此均匀策略的平均权重"
        "为 {weight}（为 1 的 p 值：{p}）。"
    ),
    "estimate from": "估计值从",
    "to": "至",
    "candidates": "候选",
    "mean estimate": "平均估计",
    "share shown": "展示份额",
    "errors apart": "相差几个标准误",
    "The challenger's value if the logger saw more than the log holds (Gamma: how far the odds of "
    "a propensity may be off; self-normalised):": (
        "如果记录策略看到的多于日志所记，挑战者的价值（Gamma：概率的优势比可能偏离多少；"
        "自归一化）："
    ),
    "Gamma": "Gamma",
    "values": "价值",
    "interval": "区间",
    "{lower} to {upper}": "{lower} 至 {upper}",
    "Items whose support is worst": "支持最差的物品",
    "item": "物品",
    "offered": "提供",
    "shown": "展示",
    "the challenger wants": "挑战者想要",
    "the weighted log holds": "加权日志所含",
    "p of equal": "相等的 p 值",
    "never shown": "从未展示",
    "Shares of all decisions; the last is the challenger's probability on the item where the "
    "logger never shows it.": (
        "占全部决策的份额；最后一列是记录策略从不展示时挑战者给该物品的概率。"
    ),
    "Support over nights": "各夜的支持",
    "night": "夜",
    "effective share": "有效份额",
    "errors from 1": "距 1 几个标准误",
    "{night} (gate)": "{night}（评判）",
    "Logged propensities against what was shown": "记录的概率与实际展示",
    "propensity from": "概率从",
    "mean propensity": "平均概率",
}

_DATA = {
    "The step from the champion": "离开冠军的一步",
    "The step was limited by {limits}.": "这一步受限于{limits}。",
    "Who is shown, on the tune nights: {floors}.": "调整夜上展示了谁：{floors}。",
    "{name} {chosen:.4g} of {least:.4g} asked for, the champion {champion:.4g}": (
        "{name} {chosen:.4g}（要求 {least:.4g}，冠军为 {champion:.4g}）"
    ),
    "With weights of their own: {scenes}; those told here are of all others.": (
        "有自己权重的：{scenes}；此处所列是其余各处的权重。"
    ),
    "The evidence alone limited the step: no larger lift is proven further away.": (
        "这一步只受证据限制：更远处没有被证明的更大提升。"
    ),
    "Nights": "各夜",
    "under test since run": "自该运行起接受检验",
    "gate (judged here, {rows} decisions of {users} users)": (
        "评判（此处所用，{users} 个用户的 {rows} 个决策）"
    ),
    "logged on these nights": "这些夜的日志共有",
    "{rows} decisions; those of some users are read, whom a hash chose (split.night_decisions)": (
        "{rows} 个决策；所读为其中一部分用户的决策，用户由哈希选出（split.night_decisions）"
    ),
    "none": "无",
    "tune (weights and hyper-parameters)": "调整（权重和超参数）",
    "fit (reward models and policies)": "拟合（奖励模型和策略）",
    "Ways to choose the weights": "选择权重的方式",
    "What each would have chosen tonight, as a lift over the champion on the tune nights, where it "
    "was also chosen: the lift flatters, the 95 % bound allows for the choice.": (
        "每种方式今夜会作的选择，表示为调整夜上相对冠军的提升；选择也在这些夜上作出：提升值偏乐观，"
        "95 % 界已计入选择。"
    ),
    "strategy": "方式",
    "lift": "提升",
    "lower bound": "下界",
    "Reward model, on a later night": "奖励模型（在之后的一夜）",
    "Not as the settings have it, but an alternative that predicted better on nights before: "
    "{changes}": "与设置不同，是在之前的夜晚预测得更好的备选：{changes}",
    "The reward model is a student: what serving it loses": "奖励模型是学生模型：部署它损失多少",
    "The north star on the tune nights: the teacher, the student that is served, and a pair model "
    "that learned alone. Value is that of the policy that is greedy by the model but for a tenth; "
    "intervals are of 95 %, clustered by user.": (
        "调整夜上的北极星目标：教师模型、实际部署的学生模型，以及独自学习的 pair 模型。价值是按模型"
        "贪心（保留十分之一探索）的策略的价值；区间为 95 %，按用户聚类。"
    ),
    "measure": "度量",
    "teacher": "教师",
    "student": "学生",
    "pair alone": "独自学习的 pair",
    "student - teacher": "学生 - 教师",
    "student - pair alone": "学生 - 独自学习的 pair",
    "no difference shown": "未显示差异",
    "better": "更好",
    "worse": "更差",
    "Data": "数据",
    "table": "表",
    "Validation: {verdict}": "校验：{verdict}",
    "{items} {what}": "{items} {what}",
    "Items: {counts}": "物品：{counts}",
    "What was read": "读取的内容",
    "More": "更多",
}

_FORMS = {
    "The memo is a record, in English:": "备忘录是英文记录：",
    "Promote {run_key}?": "晋升 {run_key}？",
    "Approve": "批准",
    "Reject": "否决",
    "Why": "理由",
    "Run key of the version": "版本的运行键",
    "Night": "夜（日期）",
    "First night": "第一夜",
    "Last night": "最后一夜",
    "Objective weights fixed by hand": "手工固定的目标权重",
    "Learn with this learner alone": "只用这个学习器",
    "Run stages again although nothing changed": "即使没有变化也重新运行各阶段",
    "Learn and tune; leave gate nights and registry": "只学习和调整，不动评判夜和注册表",
    "Your name, for the ledger": "您的姓名（记入账本）",
    "Version; empty: the one before": "版本；留空则为前一个",
}

_PLOTS = {
    "Each policy's north star with its interval": "各策略的北极星及其区间",
    "Challenger against champion in every objective": "每个目标上挑战者与冠军的比较",
    "Objective weights of the challenger": "挑战者的目标权重",
    "Importance weights on the gate nights": "评判夜上的重要性权重",
    "Calibration of the reward model on a later night": "奖励模型在之后一夜的校准",
    "What each promotion promised, and what it brought since": "每次晋升的承诺及其后的结果",
    "The challenger's support over nights": "各夜对挑战者的支持",
    "Logged propensities against the share that was shown": "记录的概率与实际展示的份额",
    "{north_star} a decision ({estimator})": "每个决策的 {north_star}（{estimator}）",
    "challenger - champion, in standard errors (red: accepted fall)": (
        "挑战者 − 冠军，以标准误计（红线：可接受的下降）"
    ),
    "weight": "权重",
    "importance weight": "重要性权重",
    "predicted": "预测",
    "observed": "观测",
    "realised": "实现",
    "propensity": "概率",
    "{name} (not certified)": "{name}（不可信）",
    "v{version} after v{replaced}": "v{version} 替换 v{replaced}",
    "lift in {north_star} a decision (red line: promised at least)": (
        "每个决策的 {north_star} 提升（红线：承诺至少）"
    ),
}

PAGE: Mapping[str, str] = {
    **_ANSWER,
    **_BANNERS,
    **_GROUPS,
    **_COMPARISON,
    **_BEYOND,
    **_SUPPORT,
    **_DATA,
    **_PLOTS,
    **_FORMS,
}
