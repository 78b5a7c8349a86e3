// What the page says, in English and Chinese, and how it writes numbers and times.

const WORDS = {
  skip: ['Skip to content', '跳到正文'],
  views: ['Views', '视图'],
  overview: ['Overview', '概览'],
  people: ['People', '用户'],
  items: ['Items', '物品'],
  catalogue: ['items', '物品数'],
  all_items: ['All items', '全部物品'],
  models: ['Models', '模型'],
  privacy: ['Privacy', '隐私'],
  to_language: ['中文', 'English'],
  theme_auto: ['Theme: system', '主题：跟随系统'],
  theme_light: ['Theme: light', '主题：浅色'],
  theme_dark: ['Theme: dark', '主题：深色'],
  live: ['Live', '实时'],
  lost: ['Connection lost; trying again', '连接中断，正在重试'],
  loading: ['Loading…', '加载中…'],
  again: ['Try again', '重试'],
  in_numbers: ['The picture in numbers', '以数字查看'],
  unreachable: ["The server can't be reached.", '无法连接服务器。'],
  more: ['Older', '更早'],
  previous: ['Previous', '上一页'],
  next: ['Next', '下一页'],
  cancel: ['Cancel', '取消'],
  events: ['Events', '事件'],
  users: ['People', '用户'],
  since_start: ['{} since the server started', '启动以来 {}'],
  lists_made: ['Lists made', '推荐列表'],
  of_users: ['{} people, {} items in the store', '库中有 {} 位用户、{} 个物品'],
  hit_rate: ['Live hit rate', '实时命中率'],
  hit_of: ['{} of {} events that named their list', '{} / {} 个标明列表的事件'],
  no_hits: ['no event has named its list yet', '尚无标明来源列表的事件'],
  latency: ['Time of a list', '推荐耗时'],
  latency_of: ['median; 99% under {} ms, of the last {}', '中位数；99% 低于 {} 毫秒（最近 {} 次）'],
  no_latency: ['none asked yet', '尚无请求'],
  model_age: ['Model age', '模型年龄'],
  coverage: ['Catalogue shown', '目录覆盖'],
  coverage_of: ['of {} items were in a list since the start', '启动以来进入过列表（共 {} 个物品）'],
  events_live: ['Events as they come', '实时事件'],
  lists_live: ['Recommendations as they are made', '实时推荐'],
  left_out: ['{} more came at the same moment and aren’t shown', '同一时刻另有 {} 个事件未显示'],
  no_events: ['No event yet. Send one to POST /api/feedback, or add one under People.', '尚无事件。可发送到 POST /api/feedback，或在“用户”中添加。'],
  no_lists: ['No list yet since the server started.', '启动以来尚无推荐。'],
  newcomer: ['newcomer', '新用户'],
  activity: ['Activity', '活动'],
  activity_note: ['Of the last 50,000 events that arrived, by their times.', '最近到达的 50,000 个事件，按发生时间。'],
  quality: ['Data quality', '数据质量'],
  q_duplicates: ['Duplicates since the start', '启动以来的重复事件'],
  q_unknown: ['Events of items the model doesn’t know', '模型未知物品的事件'],
  q_text: ['Items with a text', '有文本的物品'],
  q_hidden: ['Hidden items', '隐藏的物品'],
  q_lag: ['Events the model’s memory hasn’t learned yet', '模型记忆尚未学习的事件'],
  find_user: ['Find a person by the beginning of the id', '按编号开头查找用户'],
  nobody: ['Nobody’s id begins with “{}”.', '没有编号以“{}”开头的用户。'],
  nobody_yet: ['Nobody is in the store yet.', '库中尚无用户。'],
  open_anyway: ['See what a newcomer called “{}” gets', '查看新用户“{}”会得到什么'],
  n_events: ['{} events', '{} 个事件'],
  choose_user: ['Choose a person to see what they have always liked, what they want now, and why they are shown what they are shown.', '选择一位用户，查看其长期喜好、当前需求，以及推荐理由。'],
  person: ['Person {}', '用户 {}'],
  back: ['All people', '全部用户'],
  stranger: ['Never seen here. Newcomers are shown what most people like; the first event changes that at once.', '从未出现过。新用户看到的是大众喜好；第一个事件会立即改变推荐。'],
  drift: ['Drift', '漂移'],
  drift_note: ['distance of right now from long-term, 0 to 1', '当前与长期的距离，0 到 1'],
  segment: ['Kind of person', '人群'],
  last_event: ['Last event', '最近事件'],
  river: ['Interests over time', '兴趣随时间的变化'],
  river_note: ['Long-term above, right now below.', '上为长期，下为当前。'],
  interests: ['Interests', '兴趣'],
  long_term: ['long-term', '长期'],
  short_term: ['right now', '当前'],
  was: ['was {}', '原 {}'],
  half_life: ['half-life {}', '半衰期 {}'],
  habits: ['Habits', '习惯'],
  habits_note: ['Shares of events by hour of the day and by weekday, in UTC.', '各时段与各星期几的事件占比（UTC）。'],
  no_times: ['This log has an order, but no times.', '该日志只有次序，没有时间。'],
  sessions: ['Sessions', '会话次数'],
  session_events: ['Events in one', '每次事件数'],
  session_length: ['Length, median', '时长（中位数）'],
  under_a_minute: ['under a minute', '不到一分钟'],
  completion: ['Taken in', '完成度'],
  dwell: ['Stayed, mean', '平均停留'],
  recommended: ['Recommended now', '当前推荐'],
  add_event: ['Add event', '添加事件'],
  add_for: ['Add an event of {}', '添加 {} 的事件'],
  event_type: ['as', '类型'],
  another_item: ['Another item, by id', '其他物品编号'],
  stored: ['Stored. The list and the interests were made anew.', '已保存，推荐与兴趣已更新。'],
  stored_before: ['This event was stored before; nothing changed.', '该事件已存在，没有变化。'],
  fresh: ['new', '新'],
  rose: ['up {}', '上升 {}'],
  fell: ['down {}', '下降 {}'],
  because: ['Because of {}', '因为之前的{}'],
  fidelity: ['fidelity {}', '可信度 {}'],
  fidelity_note: ['balanced accuracy on what the rule wasn’t learned from; 0.5 tells nothing', '在未参与学习的样本上的平衡准确率；0.5 表示毫无信息'],
  history: ['History', '历史'],
  no_history: ['No events.', '没有事件。'],
  seen_all: ['Nothing is left to recommend: everything has been seen or is hidden.', '没有可推荐的物品：全部已看过或被隐藏。'],
  find_item: ['Find an item by words or id', '按文字或编号查找物品'],
  no_items: ['No item holds “{}”.', '没有包含“{}”的物品。'],
  item_map: ['Map of items', '物品地图'],
  map_note: ['Items that lie close are alike to the model; colours are topics. Select one, or find it by words.', '相近的物品在模型看来相似；颜色表示主题。点选物品或用文字查找。'],
  neighbours: ['Goes with {}', '与 {} 相关'],
  neighbours_note: ['What the model recommends to someone who had just this one.', '只接触过它的人会得到的推荐。'],
  no_model: ['The model doesn’t know this item yet.', '模型尚不认识该物品。'],
  topics: ['Topics', '主题'],
  n_items: ['{} items', '{} 个物品'],
  topics_being: ['Topics are being made in the background; this part comes by itself.', '正在后台生成主题，完成后自动显示。'],
  serving: ['Champion', '冠军'],
  serving_note: ['answers now', '正在服务'],
  before: ['The one before', '前任模型'],
  before_note: ['kept, to go back to', '保留以便回滚'],
  no_before: ['There is no earlier model to go back to. penchant update keeps one when a challenger is promoted.', '没有可回滚的模型。penchant update 在挑战者晋级时会保留前任。'],
  roll_back: ['Roll back to this model', '回滚到此模型'],
  roll_back_sure: ['Roll back?', '确认回滚？'],
  roll_back_what: ['{} will answer instead of {}. The current model is kept, and you can go forward again the same way.', '{} 将代替 {} 提供服务。当前模型会保留，可用同样方式恢复。'],
  rolled_back: ['{} stands in the folder; the server takes it within seconds.', '{} 已就位，服务器将在数秒内启用。'],
  lineage: ['Lineage', '来历'],
  settings: ['Settings', '设置'],
  challenge: ['Champion and challenger', '冠军与挑战者'],
  challenge_note: ['What the last update compared on the newest events.', '最近一次更新在最新事件上的比较。'],
  no_challenge: ['This model wasn’t made by an update. penchant update trains a challenger on the store and promotes it if it isn’t worse.', '该模型不是由更新产生的。penchant update 会用库中数据训练挑战者，不更差才晋级。'],
  report: ['Evaluation', '评估'],
  report_open: ['Open the whole report', '打开完整报告'],
  no_report: ['No evaluation is shown. Make one with penchant evaluate --out DIR, and name it with penchant serve --report DIR.', '未提供评估报告。可用 penchant evaluate --out DIR 生成，再用 penchant serve --report DIR 指定。'],
  kind: ['kind', '类型'],
  id: ['id', '标识'],
  created: ['made', '创建'],
  split: ['split', '划分'],
  trained_on: ['trained on', '训练数据'],
  dataset: ['dataset', '数据集'],
  parent: ['came after', '前身'],
  promoted_because: ['promoted because', '晋级原因'],
  learned_to: ['learned up to event', '学习至事件'],
  seconds: ['training, seconds', '训练秒数'],
  erase: ['Erase a person', '删除用户'],
  erase_note: ['Events, state and what the model’s memory learned of them are deleted, and overwritten in the file. What training learned leaves with the next training.', '将删除其事件、状态以及模型记忆所学，并在文件中覆写。训练所学会在下次训练后消失。'],
  erase_id: ['Id of the person', '用户编号'],
  erase_go: ['Erase…', '删除…'],
  erase_sure: ['Erase {} for good?', '永久删除 {}？'],
  erase_type: ['This can’t be undone. Type the id once more to confirm.', '此操作不可撤销。请再次输入编号以确认。'],
  erase_yes: ['Erase for good', '永久删除'],
  erased: ['Erased: {} events are gone.', '已删除：{} 个事件。'],
  receipts: ['Receipts', '回执'],
  receipts_note: ['Receipts hold no id. The fingerprint is a keyed digest of it: whoever erased can compare.', '回执不含编号。指纹是编号的带密钥摘要，可供核对。'],
  no_receipts: ['Nobody has been erased from this store.', '尚未删除任何用户。'],
  r_at: ['When', '时间'],
  r_fingerprint: ['Fingerprint', '指纹'],
  r_events: ['Events', '事件'],
  r_memory: ['Unlearned at once', '即时遗忘'],
  r_training: ['In training data', '曾在训练数据'],
  r_model: ['Model', '模型'],
};

const html = document.documentElement;
export const language = () => (html.lang.startsWith('zh') ? 'zh' : 'en');

/** What a word is in the language of the page, its gaps ({}) filled in turn. */
export function say(name, ...fillings) {
  const words = WORDS[name]?.[language() === 'zh' ? 1 : 0] ?? name;
  return words.replace(/\{\}/g, () => String(fillings.shift() ?? ''));
}

const locale = () => (language() === 'zh' ? 'zh-CN' : 'en-GB');
export const number = (value) => new Intl.NumberFormat(locale()).format(value);
export const decimal = (value) => new Intl.NumberFormat(locale(), { maximumSignificantDigits: 4 }).format(value);
export const compact = (value) => (value < 100000 ? number(value) : new Intl.NumberFormat(locale(), { notation: 'compact', maximumFractionDigits: 1 }).format(value));
export const share = (value, digits = 0) => new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits }).format(value);

/** Things in a row, and a title set off from the words around it. */
export const listed = (things) => new Intl.ListFormat(locale(), { type: 'conjunction' }).format(things);
export const quoted = (title) => (language() === 'zh' ? `《${title}》` : `“${title}”`);

/** A time as a day and a minute; before 1971, the place in a log that has no times. */
export function moment(iso) {
  if (!iso) return '–';
  const time = new Date(iso);
  if (time.getUTCFullYear() < 1971) return `#${number(Math.round(time.getTime() / 1000))}`;
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'short' }).format(time);
}

/** A length of time by its largest unit. */
export function lasting(seconds) {
  const units = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];
  const [unit, length] = units.find(([, one]) => seconds >= one) ?? units[3];
  return new Intl.NumberFormat(locale(), { style: 'unit', unit, unitDisplay: 'long' }).format(Math.floor(seconds / length));
}
