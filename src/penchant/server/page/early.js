// Before anything is drawn: the theme and language that were chosen, so that nothing flashes.
(() => {
  const kept = (name) => { try { return localStorage.getItem(`penchant.${name}`); } catch { return null; } };
  const asked = new URLSearchParams(location.search).get('lang');
  const languages = ['en', 'zh'];
  const language = [asked, kept('language'), (navigator.language || '').slice(0, 2)].find((one) => languages.includes(one)) || 'en';
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  const theme = kept('theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
