// Behaviour of the report: tabs, sorting, filtering, opening, reading the time chart, printing. The page is complete without it.
(() => {
  'use strict';
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const make = (tag, properties = {}, text = '') => {
    const element = Object.assign(document.createElement(tag), properties);
    if (text) element.textContent = text;
    return element;
  };

  // Views of one thing become tabs; printed they stand below each other again.
  for (const tabs of all('.tabs')) {
    const panels = all('.tab', tabs);
    if (panels.length < 2) continue;
    const list = make('div', { className: 'tablist' });
    list.setAttribute('role', 'tablist');
    list.setAttribute('aria-label', tabs.dataset.label);
    const buttons = panels.map((panel) => {
      const title = panel.querySelector('h3');
      const button = make('button', { type: 'button', id: `${panel.id}-tab` }, title.textContent);
      button.setAttribute('role', 'tab');
      button.setAttribute('aria-controls', panel.id);
      panel.setAttribute('role', 'tabpanel');
      panel.setAttribute('aria-labelledby', button.id);
      title.classList.add('tab-title');
      list.append(button);
      return button;
    });
    const show = (chosen) => panels.forEach((panel, index) => {
      const isChosen = index === chosen;
      panel.classList.toggle('unchosen', !isChosen);
      buttons[index].setAttribute('aria-selected', String(isChosen));
      buttons[index].tabIndex = isChosen ? 0 : -1;
    });
    buttons.forEach((button, index) => {
      button.addEventListener('click', () => show(index));
      button.addEventListener('keydown', (event) => {
        const last = buttons.length - 1;
        const next = { ArrowRight: index === last ? 0 : index + 1, ArrowLeft: index === 0 ? last : index - 1, Home: 0, End: last }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        show(next);
        buttons[next].focus();
      });
    });
    tabs.prepend(list);
    show(0);
  }

  // Escape sends an arithmetic away until its bar is left.
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') all('tr.step').forEach((row) => row.classList.add('quiet'));
  });
  for (const row of all('tr.step')) {
    const wake = () => row.classList.remove('quiet');
    row.addEventListener('mouseleave', wake);
    row.addEventListener('focusout', wake);
  }

  // Sorting moves bodies of one suspect each.
  for (const table of all('table.suspects')) {
    const heads = all('thead th[data-sort]', table);
    heads.forEach((head) => {
      const button = make('button', { type: 'button', className: 'sort' }, head.textContent);
      head.textContent = '';
      head.append(button);
      button.addEventListener('click', () => {
        const isNumber = head.dataset.sort === 'number';
        const before = head.getAttribute('aria-sort');
        // The rank begins with the first, a figure with the largest.
        const first = isNumber && head.cellIndex > 0 ? 'descending' : 'ascending';
        const order = before === null ? first : before === 'ascending' ? 'descending' : 'ascending';
        heads.forEach((other) => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', order);
        const value = (body) => {
          const text = body.rows[0].cells[head.cellIndex].dataset.value ?? '';
          return isNumber ? Number(text) : text;
        };
        const compare = (left, right) => {
          const [a, b] = [value(left), value(right)];
          return isNumber ? a - b : a.localeCompare(b, 'en');
        };
        const bodies = Array.from(table.tBodies).sort((left, right) =>
          (order === 'ascending' ? compare(left, right) : compare(right, left)) ||
          Number(left.rows[0].cells[0].dataset.value) - Number(right.rows[0].cells[0].dataset.value));
        bodies.forEach((body) => table.append(body));
      });
    });
  }

  const bodies = all('table.suspects > tbody');
  const isOpen = (body) => body.querySelector('.open').getAttribute('aria-expanded') === 'true';
  const open = (body, wanted) => {
    body.querySelector('.open').setAttribute('aria-expanded', String(wanted));
    body.querySelector('.evidence').hidden = !wanted;
  };
  bodies.forEach((body, index) => {
    open(body, index === 0);
    body.querySelector('.open').addEventListener('click', () => open(body, !isOpen(body)));
    body.rows[0].addEventListener('click', (event) => {
      if (event.target.closest('a, button') || String(document.getSelection()) !== '') return;
      open(body, !isOpen(body));
    });
  });

  const tools = document.querySelector('.tools');
  if (tools && bodies.length > 1) {
    tools.hidden = false;
    const [filter, kind] = [document.getElementById('suspect-filter'), document.getElementById('suspect-kind')];
    const [count, every] = [document.getElementById('suspect-count'), document.getElementById('suspect-all')];
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const body of bodies) {
        const fits = words.every((word) => body.dataset.words.includes(word)) && (!kind.value || body.dataset.kind === kind.value);
        body.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      count.textContent = shown === bodies.length ? `${shown} shown` : `${shown} of ${bodies.length} shown`;
    };
    filter.addEventListener('input', apply);
    kind.addEventListener('change', apply);
    every.addEventListener('click', () => {
      const wanted = every.getAttribute('aria-pressed') !== 'true';
      every.setAttribute('aria-pressed', String(wanted));
      bodies.forEach((body) => open(body, wanted));
    });
  }

  // The slider, and a pointer on the chart, read the curves at a moment.
  for (const slider of all('input[data-readings]')) {
    const readings = JSON.parse(document.getElementById(slider.dataset.readings).textContent);
    const figure = slider.closest('figure');
    const [plot, cursor, output] = ['.plot', '.cursor', 'output'].map((selector) => figure.querySelector(selector));
    const read = () => {
      const index = Number(slider.value);
      const place = `${(100 * (index + 0.5)) / readings.length}%`;
      cursor.setAttribute('x1', place);
      cursor.setAttribute('x2', place);
      cursor.classList.add('on');
      output.textContent = readings[index];
      slider.setAttribute('aria-valuetext', readings[index]);
    };
    slider.addEventListener('input', read);
    slider.addEventListener('focus', read);
    plot.addEventListener('pointermove', (event) => {
      const box = plot.getBoundingClientRect();
      const index = Math.floor(((event.clientX - box.left) / box.width) * readings.length);
      slider.value = String(Math.max(0, Math.min(readings.length - 1, index)));
      read();
    });
  }

  // Calls that take next to no time are folded.
  for (const button of all('button.fold')) {
    const table = button.parentElement.querySelector('table');
    const folded = button.textContent;
    button.hidden = false;
    const fold = (wanted) => {
      table.classList.toggle('folded', wanted);
      button.setAttribute('aria-expanded', String(!wanted));
      button.textContent = wanted ? folded : 'Show fewer calls';
    };
    button.addEventListener('click', () => fold(!table.classList.contains('folded')));
    fold(true);
  }

  // A link into something closed opens it.
  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let element = target; element; element = element.parentElement) {
      if (element.tagName === 'DETAILS') element.open = true;
      if (element.matches('table.suspects > tbody')) open(element, true);
    }
    target.scrollIntoView();
  };
  addEventListener('hashchange', reveal);
  reveal();

  // Paper shows what a reader would open: the evidence of the first five, the requests side by side.
  const PRINTED = 5;
  let opened = [];
  addEventListener('beforeprint', () => {
    const closed = all('details.printed:not([open])');
    const hidden = bodies.filter((body) => Number(body.rows[0].cells[0].dataset.value) <= PRINTED && !isOpen(body));
    opened = [() => closed.forEach((details) => { details.open = false; }), () => hidden.forEach((body) => open(body, false))];
    closed.forEach((details) => { details.open = true; });
    hidden.forEach((body) => open(body, true));
  });
  addEventListener('afterprint', () => opened.splice(0).forEach((undo) => undo()));

  // The contents say where the reader is.
  const links = new Map(all('nav.contents a').map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute('aria-current'));
      links.get(entry.target.id)?.setAttribute('aria-current', 'true');
    }
  }, { rootMargin: '-20% 0px -70% 0px' });
  all('main > section').forEach((section) => watcher.observe(section));
})();
