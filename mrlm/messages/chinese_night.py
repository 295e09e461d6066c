"""The Chinese of a night's summary: its rules, what they found and the page's own words."""

from __future__ import annotations

from collections.abc import Mapping

_PAGE = {
    "All expectations": "全部期望",
    "saw": "所见",
    "expected": "预期",
    "why": "原因",
    "owner": "负责人",
    "such as": "例如",
    "What these checks would have found": "这些检查本可发现什么",
    "night {night} passed: nothing looks wrong": "{night} 夜通过：没有发现问题",
    "night {night} passed ({counts}): {table}: {fault}": (
        "{night} 夜通过（{counts}）：{table}：{fault}"
    ),
    "night {night} is stopped ({counts}): {table}: {fault}": (
        "{night} 夜被停止（{counts}）：{table}：{fault}"
    ),
    "{failures} critical": "{failures} 项严重",
    "1 warning": "1 项警告",
    "{failures} warnings": "{failures} 项警告",
    "{expectation}: saw {seen}, expected {expected}": "{expectation}：所见 {seen}，预期 {expected}",
    "{feature}, by share of the slots": "{feature}，按展示位的份额",
    "share: tonight (dot), trailing nights (ticks)": "份额：今夜（圆点），之前各夜（短线）",
    "{rows} of {total} rows": "{total} 行中的 {rows} 行",
    "whoever writes the logger of impressions": "展示日志的编写者",
    "whoever delivers feedback": "反馈的交付者",
    "whoever delivers the catalogue": "目录的交付者",
    "whoever delivers the events of users": "用户事件的交付者",
    "a share of at most {most:g}": "份额至多 {most:g}",
    "{low:g} to {high:g} times the median of the trailing nights": (
        "之前各夜中位数的 {low:g} 至 {high:g} 倍"
    ),
    "columns of the contract": "约定的列",
    "the columns {columns}": "列 {columns}",
    "Every later stage reads them by name.": "之后每个阶段都按名称读取它们。",
}

_IMPRESSIONS = {
    "one row a shown slot": "每个展示位一行",
    "request_id and position are unique together": "request_id 与 position 合起来唯一",
    "A slot that counts twice biases every estimate.": "计了两次的展示位使每个估计有偏。",
    "known user": "用户已知",
    "user is not null": "user 不为空",
    "Users are the unit of independence.": "用户是独立性的单位。",
    "propensity in range": "展示概率在范围内",
    "0 < propensity <= 1": "0 < 展示概率 <= 1",
    "Importance weights divide by it.": "重要性权重要除以它。",
    "at least one candidate": "至少一个候选",
    "A decision chooses among candidates.": "决策是在候选中选择。",
    "shown item is a candidate": "展示的物品是候选",
    "the shown item is in its candidate set": "展示的物品在其候选集中",
    "Its probability under another policy would be 0.": "否则它在另一策略下的概率为 0。",
    "candidate propensities sum to 1": "候选概率之和为 1",
    "1 within {tolerance} where they are logged": "有记录之处为 1，误差 {tolerance} 以内",
    "They are not the probabilities of one choice.": "否则它们不是一次选择的概率。",
    "propensity is the shown candidate's": "展示概率是所展示候选的概率",
    "equal within 1e-6 where candidate propensities are logged": (
        "记录了候选概率之处相差不超过 1e-6"
    ),
    "The log contradicts itself about the logging policy.": "否则日志对记录策略自相矛盾。",
    "propensity of one slot": "单个展示位的概率",
    "propensity_kind is conditional": "propensity_kind 为 conditional",
    "Each slot is evaluated as a decision of its own; marginal and whole-list propensities belong "
    "to other estimators.": "每个展示位作为独立的决策评估；边缘概率和整列表概率属于别的估计器。",
    "time near the night": "时间接近该夜",
    "the slot's night is the arrival night or up to {nights} before": (
        "展示位所属的夜是到达夜，或至多早 {nights} 夜"
    ),
    "The row belongs to another night.": "否则该行属于另一夜。",
    "enough impressions": "足够的展示",
    "at least {least} rows": "至少 {least} 行",
    "Nothing can be learned from fewer.": "更少则学不到东西。",
    "unknown items": "未知物品",
    "impressions in quarantine": "隔离的展示",
    "What is left may no longer stand for the night.": "余下的可能不再代表这一夜。",
    "as many impressions as usual": "展示数量与往常一样",
    "Part of the log may be missing or doubled.": "日志可能有一部分缺失或重复。",
    "mean 1/propensity is the candidate count": "平均 1/概率等于候选数",
    "mean log propensity is minus the entropy": "平均对数概率等于负熵",
    "mean 1/p over mean K": "平均 1/p 比平均 K",
    "mean log p over entropy": "平均 log p 比熵",
    "a relative gap of at most {allowed:.3g} ({identity})": (
        "相对差距至多 {allowed:.3g}（{identity}）"
    ),
    "The items shown were not drawn with the propensities that were logged.": (
        "展示的物品不是按记录的概率抽取的。"
    ),
    "{rule} or less": "{rule}（或更小）",
    "{rule} or more": "{rule}（或更大）",
}

_FEEDBACK = {
    "one row an event": "每个事件一行",
    "event_id is unique": "event_id 唯一",
    "An event that counts twice changes rewards.": "计了两次的事件会改变奖励。",
    "An event that counts twice looks like more interest than there was.": (
        "计了两次的事件看起来比实际更感兴趣。"
    ),
    "finite value": "有限的值",
    "value is a finite number": "value 是有限数",
    "One NaN reward makes every mean NaN.": "一个 NaN 奖励使每个均值成为 NaN。",
    "One NaN makes every mean of a history NaN.": "一个 NaN 使历史的每个均值成为 NaN。",
    "not from the future": "不来自未来",
    "the event is not later than its arrival night": "事件不晚于它的到达夜",
    "A history would know what had not happened.": "否则历史会知道尚未发生的事。",
    "declared event": "已声明的事件",
    "event is one of {events}": "event 是 {events} 之一",
    "No objective reads it: a new kind of event, or a changed name.": (
        "没有目标读取它：是新的事件种类，或名称已改变。"
    ),
    "feedback in quarantine": "隔离的反馈",
    "Missing events look like uninterested users.": "缺失的事件看起来像不感兴趣的用户。",
    "some feedback": "有反馈",
    "more than none, as on the trailing nights": "不为零，与之前各夜一样",
    "A lost delivery would be learned as a night on which nobody liked anything.": (
        "丢失的送达会被学成谁也不喜欢任何东西的一夜。"
    ),
    "as much feedback as usual": "反馈数量与往常一样",
    "{low:g} to {high:g} times the median of the trailing nights, per impression": (
        "每次展示为之前各夜中位数的 {low:g} 至 {high:g} 倍"
    ),
    "Part of the events may be missing or doubled.": "事件可能有一部分缺失或重复。",
    "history in quarantine": "隔离的历史",
    "Users seem to have done less than they did.": "用户看起来比实际做得少。",
    "as many events of users as usual": "用户事件数量与往常一样",
    "Part of the events may be missing or doubled: histories would differ from those that the "
    "models were fitted on.": "事件可能有一部分缺失或重复：历史会与模型拟合时所用的不同。",
    "items of the catalogue": "目录中的物品",
    "item_id is known, but for a share of {most:g}": "item_id 已知，例外的份额至多 {most:g}",
    "Nothing is known of such an item, so the event tells nothing of its user: see whether the "
    "table writes the catalogue's ids.": (
        "对这样的物品一无所知，所以事件也说明不了它的用户：请查看该表是否写目录的标识。"
    ),
}

_ITEMS = {
    "one row an item": "每个物品一行",
    "item_id is unique": "item_id 唯一",
    "An item with two texts has no one embedding.": "有两段文本的物品没有唯一的嵌入。",
    "items with text": "有文本的物品",
    "at least one character of text, but for a share of {most:g}": (
        "至少一个字符的文本，例外的份额至多 {most:g}"
    ),
    "Its embedding is 0: nothing is known of what it is like. Where texts have another column, the "
    "setting is inputs.text_fields.": (
        "它的嵌入为 0：不知道它是什么样的。如果文本在别的列，设置是 inputs.text_fields。"
    ),
    "catalogue": "目录",
    "at least one item in all": "总共至少一个物品",
    "There is nothing to recommend.": "没有可推荐的东西。",
    "items in quarantine": "隔离的物品",
    "Impressions of items that were lost are lost with them.": "丢失物品的展示也随之丢失。",
}

_ARRIVAL = {
    "a share of at most {most:g} that another clock would put into the night": (
        "按另一个时钟才属于该夜的份额至多 {most:g}"
    ),
    "{expected}; the log looks shifted by about {hours:+d} h against nights of {zone} from "
    "{starts}": "{expected}；日志相对 {zone} 自 {starts} 起的夜看来偏移了约 {hours:+d} 小时",
    "{looks}: its files seem to be named by another day than that of their rows": (
        "{looks}：文件似乎不是按其行所在的日期命名"
    ),
    "{looks}: set ingestion.time_zone to the zone whose days cut the log (and in which its times "
    "are, if they name no offset), ingestion.night_starts to the hour at which they begin": (
        "{looks}：把 ingestion.time_zone 设为切分日志所用日期的时区（如果时间不带偏移，也是时间所在"
        "的时区），把 ingestion.night_starts 设为其开始的小时"
    ),
    "times of {table} lie in the night": "{table}的时间在该夜之内",
    "Rows move to other nights, their feedback comes after its window, and rewards are missed.": (
        "行会移到别的夜，反馈在窗口之后才到，奖励会漏掉。"
    ),
    "late {table}": "迟到的{table}",
    "a share of at most {most:g} that arrives after its time is over": (
        "过时后才到达的份额至多 {most:g}"
    ),
    "Late rows are kept and not learned from: deliveries were delayed, or the days of the files "
    "are not the nights.": "迟到的行会保留但不用于学习：送达有延误，或文件的日期不是夜。",
    "{table} from the future": "来自未来的{table}",
    "a share of at most {most:g} later than the arrival night": "晚于到达夜的份额至多 {most:g}",
    "They are in quarantine: a clock is wrong, or the files' days are not the nights.": (
        "它们已被隔离：时钟有误，或文件的日期不是夜。"
    ),
}

_DELIVERY = {
    "feedback of known impressions": "已知展示的反馈",
    "a share of at most {most:g} joins no impression": "对不上任何展示的份额至多 {most:g}",
    "Their request or item ids are those of no impression, so that clicks would be missing where "
    "they belong: see whether the two logs write the same ids.": (
        "它们的请求或物品标识不属于任何展示，点击会在本应出现之处缺失：请查看两份日志是否写相同的"
        "标识。"
    ),
    "all {event} events arrived": "{event} 事件全部到达",
    "Rewards from {event} of the nights that they belong to are unknown, neither 0 nor final, "
    "until the night is delivered again or accepted with 'mrlm accept'.": (
        "在该夜重新送达或用 'mrlm accept' 接受之前，所属各夜来自 {event} 的奖励未知，既不是 0 也"
        "不是最终值。"
    ),
    "readable {event} events": "可读的 {event} 事件",
    "a share of at most {most:g} was quarantined, joined nothing or is missing from the logger's "
    "own count": "被隔离、对不上或比日志器自己的计数少的份额至多 {most:g}",
    "Beyond it the rewards from {event} are unknown, neither 0 nor final.": (
        "超过则来自 {event} 的奖励未知，既不是 0 也不是最终值。"
    ),
    "a count of sent {event} events": "已发送的 {event} 事件的计数",
    "a number of {event} in the file of inputs.sent_path, be it 0": (
        "inputs.sent_path 的文件中有 {event} 的数目，哪怕是 0"
    ),
    "Without one the delivery is judged by its rates alone.": "没有计数时，只按比率评判送达。",
    "no more {event} events than were sent": "{event} 事件不多于发送的数目",
    "as many different events as the logger counted, or fewer": "不同事件不多于日志器的计数",
    "It counts something else, so the delivery is judged by its rates too.": (
        "它数的是别的东西，因此也按比率评判送达。"
    ),
    "{event} events lost at random show from {loss:.0%} on, with a chance of 80 %; of fewer only a "
    "count of what was sent would tell": (
        "随机丢失的 {event} 事件从 {loss:.0%} 起有 80 % 的概率被发现；更少的只有发送计数才能说明"
    ),
    "at least as many as validation.least_events says": (
        "至少达到 validation.least_events 所说的数目"
    ),
    "nothing to compare with yet": "还没有可比较的",
    "as on the trailing nights; a loss of {loss:.0%} or more would show": (
        "与之前各夜一样；丢失 {loss:.0%} 或更多会被发现"
    ),
    "about {expected:,.0f} instead of {observed:,.0f}": (
        "大约 {expected:,.0f}，而不是 {observed:,.0f}"
    ),
    "{about} in the hours {hours} UTC, by the other hours": "{about}（UTC {hours} 时，按其他小时）",
    "{items} and {more} more": "{items} 等另外 {more} 个",
    "{about} of the items {items}, by their earlier rates": (
        "{about}（物品 {items}，按其先前的比率）"
    ),
    "{about}, by the trailing nights": "{about}（按之前各夜）",
    "{about}, by the other events and the trailing nights": "{about}（按其他事件和之前各夜）",
}

_ARMS_AND_SHAPE = {
    "sample ratio of the arms": "各实验组的样本比例",
    "users of the arms in the stated shares ({shares})": "各组用户符合声明的份额（{shares}）",
    "users of the arms in the shares of the trailing nights": "各组用户符合之前各夜的份额",
    "{expected}; true shares break this once in {times:,.0f}": (
        "{expected}；份额属实时，每 {times:,.0f} 次才违反一次"
    ),
    "Users of one arm may be missing, doubled or moved: look at assignment and logging before you "
    "compare the arms.": "某一组的用户可能缺失、重复或被移走：比较各组之前请检查分配和记录。",
    "arm {arm} has {users:.0f} users, {expected:.0f} expected of {all:.0f}": (
        "组 {arm} 有 {users:.0f} 个用户，{all:.0f} 个中预期 {expected:.0f} 个"
    ),
    "{feature} as usual": "{feature}与往常一样",
    "like the trailing nights": "与之前各夜相似",
    "a distance of at most {most:.3g} from the trailing nights, which are {apart:.3g} from each "
    "other": "与之前各夜的距离至多 {most:.3g}，它们彼此相距 {apart:.3g}",
    "category, provider and attributes of shown items, numbers of candidates and rates of events "
    "like those of the trailing nights; told from {nights} of them on": (
        "展示物品的类别、提供方和属性，候选数和事件比率与之前各夜相似；从 {nights} 夜起评判"
    ),
    "What was learned there may not hold here, or part of the log is missing.": (
        "在那里学到的在这里可能不成立，或日志缺了一部分。"
    ),
    "{feature} moved by {distance:.3g} (population stability index): {label} {now:.1%} of the "
    "slots, {before:.1%} before": (
        "{feature}移动了 {distance:.3g}（群体稳定性指数）：{label} 占展示位的 {now:.1%}，之前为 "
        "{before:.1%}"
    ),
    "{feature}: {rate:.3g} a slot, {usual:.3g} on the trailing nights": (
        "{feature}：每个展示位 {rate:.3g}，之前各夜为 {usual:.3g}"
    ),
    "category of shown items": "展示物品的类别",
    "provider of shown items": "展示物品的提供方",
    "{attribute} of shown items": "展示物品的 {attribute} ",
    "number of candidates": "候选数",
    "rate of {event}": " {event} 的比率",
    "above {low:g} up to {high:g}": "大于 {low:g} 至 {high:g}",
    "above {low:g}": "大于 {low:g}",
    "up to {high:g}": "至多 {high:g}",
    "any": "任意",
    "unknown": "未知",
}

_SHOWS = {
    "shows follow the propensities": "展示符合概率",
    "shows follow the propensities ({number})": "展示符合概率（{number}）",
    "every item, position, scene, policy and hour is shown as often as its propensities say, "
    "within {tolerance:.0%}; a true night breaks this once in {nights:,.0f}": (
        "每个物品、位置、场景、策略和小时的展示次数符合其概率，"
        "误差 {tolerance:.0%} 以内；属实的夜每 "
        "{nights:,.0f} 夜才违反一次"
    ),
    "Every estimate divides by these propensities.": "每个估计都要除以这些概率。",
    "{advice} Every estimate divides by these propensities.": "{advice}每个估计都要除以这些概率。",
    "propensities: nothing, no slot logs those of all its candidates": (
        "概率：什么也发现不了，没有展示位记录全部候选的概率"
    ),
    "propensities: an item that expects {shows:.0f} shows, as the most shown one does, when it is "
    "shown {ratio:.2f} times as often": (
        "概率：一个预期展示 {shows:.0f} 次的物品（展示最多者即如此），当它的展示达到预期的 "
        "{ratio:.2f} 倍时"
    ),
    "propensities: all of them together, when the shown items' mean log propensity is off by "
    "{shift:.2f}": "概率：全部合起来，当展示物品的平均对数概率偏离 {shift:.2f} 时",
    "{kind} {group}": "{kind} {group}",
    "{where}, {told}": "{where}，{told}",
    "{where}: {told}": "{where}：{told}",
    "{where}: {told}; elsewhere they do": "{where}：{told}；别处为 1",
    "candidate propensities do not sum to 1 in {improper:.0f} of {slots:.0f} slots, on average to "
    "{mean:.3g}": (
        "{slots:.0f} 个展示位中有 {improper:.0f} 个的候选概率之和不为 1，平均为 {mean:.3g}"
    ),
    "Log the propensities after the last filter, divided by their sum.": (
        "请在最后一道过滤之后记录概率，并除以其总和。"
    ),
    "item {item}": "物品 {item} ",
    "items of {group}": "{group} 的物品",
    "{what} shown {shown:.0f} times, {expected} expected": (
        "{what}展示了 {shown:.0f} 次，预期 {expected} 次"
    ),
    "no item was expected often enough to be named": "没有物品的预期次数多到可以点名",
    "logged as if uniform: {named}": "像均匀一样记录：{named}",
    "The logger chose by something else than the propensities 1/K that it wrote: log the "
    "probabilities with which items were drawn.": (
        "记录策略的选择并不按它写下的 1/K：请记录抽取物品时的概率。"
    ),
    "propensities of items {one} and {other} exchanged: {named}": (
        "物品 {one} 与 {other} 的概率互换了：{named}"
    ),
    "Each was shown as often as the other's propensity says: look at their order.": (
        "两者的展示次数各自符合对方的概率：请查看它们的次序。"
    ),
    "shown as if uniform, logged otherwise: {named}": "像均匀一样展示，却按别的方式记录：{named}",
    "Items were drawn uniformly, or nearly: find out whether a fallback or an exploration arm "
    "answered, and log its propensities.": (
        "物品是均匀或近乎均匀抽取的：请查明是否由后备或探索的一支作答，并记录它的概率。"
    ),
    "logged with the propensities of another choice: {named}": "记录的是另一次选择的概率：{named}",
    "The lists may be those of another position, hour or policy, or in another order than the "
    "candidates: compare them with what drew the items.": (
        "列表可能属于别的位置、小时或策略，或与候选的次序不同：请与抽取物品的程序比较。"
    ),
    "shows do not follow the propensities: {named}": "展示不符合概率：{named}",
    "Compare the logger's propensities of these items with the code that draws them.": (
        "请把日志器对这些物品的概率与抽取它们的代码比较。"
    ),
    "propensities are not calibrated: candidates with {bin} were shown {shown:.0f} times, "
    "{expected:.0f} expected": (
        "概率未校准：概率为 {bin} 的候选展示了 {shown:.0f} 次，预期 {expected:.0f} 次"
    ),
    "Propensities may be rounded, sharpened or smoothed after the draw: log them raw.": (
        "概率可能在抽取之后被取整、锐化或平滑：请记录原始值。"
    ),
    "item {item}: 1/propensity of its shows sums to {sum:.0f}, but it was a candidate in "
    "{slots:.0f} slots ({ratio:.2g} times)": (
        "物品 {item}：其展示的 1/概率之和为 {sum:.0f}，但它只在 {slots:.0f} 个展示位中是候选"
        "（{ratio:.2g} 倍）"
    ),
    "1/propensity is on average {ratio:.3g} times the number of candidates in {slots:.0f} slots": (
        "在 {slots:.0f} 个展示位中，1/概率平均为候选数的 {ratio:.3g} 倍"
    ),
    "The logged propensities are not those of the draws: too small where the sum is too large. Log "
    "the propensities of all candidates, and the check names what is wrong with them.": (
        "记录的概率不是抽取时的概率：总和过大之处概率过小。请记录全部候选的概率，检查就会指出错在"
        "哪里。"
    ),
}

_DATA_DOCS = {"{name}: {expected}. {why}": "{name}：{expected}。{why}"}

NIGHT: Mapping[str, str] = {
    **_DATA_DOCS,
    **_PAGE,
    **_IMPRESSIONS,
    **_FEEDBACK,
    **_ITEMS,
    **_ARRIVAL,
    **_DELIVERY,
    **_ARMS_AND_SHAPE,
    **_SHOWS,
}
