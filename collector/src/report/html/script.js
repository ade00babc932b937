(() => {
  'use strict';
  const root = document.documentElement;
  const by = (id) => document.getElementById(id);
  const show = (element) => { if (element) element.hidden = false; };
  document.querySelectorAll('.tools, .search').forEach(show);

  by('language')?.addEventListener('click', () => { root.lang = root.lang === 'ja' ? 'en' : 'ja'; });

  const dark = matchMedia('(prefers-color-scheme: dark)');
  by('theme')?.addEventListener('click', () => {
    const now = root.dataset.theme ?? (dark.matches ? 'dark' : 'light');
    root.dataset.theme = now === 'dark' ? 'light' : 'dark';
  });

  // All words of the query must be in a stack: in its heading, its frames, its files or its tids.
  const input = by('search');
  const list = by('stack-list');
  const stacks = list ? [...list.children] : [];
  const texts = stacks.map((stack) => (stack.textContent + ' ' + stack.dataset.tids).toLowerCase());
  const opened = stacks.map((stack) => stack.open);
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    stacks.forEach((stack, n) => {
      const match = words.every((word) => texts[n].includes(word));
      stack.hidden = !match;
      stack.open = words.length ? match && shown < 5 : opened[n];
      shown += match ? 1 : 0;
    });
    const found = by('found');
    found.dataset.shown = String(shown);
    found.querySelectorAll('[lang]').forEach((text) => {
      text.dataset.form ??= text.textContent;
      text.textContent = text.dataset.form.replace('\u2044', String(shown));
    });
  };
  if (input) {
    filter();
    input.addEventListener('input', filter);
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') { input.value = ''; filter(); }
    });
    document.addEventListener('keydown', (event) => {
      const typing = event.target.matches?.('input, textarea, [contenteditable]');
      if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        input.focus();
        input.scrollIntoView({ block: 'center' });
      }
    });
  }

  // Paper has no clicks.
  addEventListener('beforeprint', () => {
    document.querySelectorAll('details:not([open])').forEach((box) => { box.open = true; box.dataset.printed = ''; });
  });
  addEventListener('afterprint', () => {
    document.querySelectorAll('details[data-printed]').forEach((box) => { box.open = false; delete box.dataset.printed; });
  });
})();
