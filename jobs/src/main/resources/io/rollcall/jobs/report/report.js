// Draws the charts of the page's data with ECharts, in the page's colours, and again when these or the
// width change.
(function () {
  'use strict';
  var charts = JSON.parse(document.getElementById('charts').textContent);
  var places = Array.prototype.slice.call(document.querySelectorAll('.chart'));
  var drawn = [];
  var symbols = ['circle', 'rect', 'triangle', 'diamond', 'roundRect', 'arrow'];

  function format(unit, value) {
    if (value === null || value === undefined || isNaN(value)) {
      return '';
    }
    if (unit === 'SHARE') {
      var percent = value * 100;
      return (Math.abs(percent) >= 10 || percent === 0 ? percent.toFixed(0) : percent.toFixed(1)) + ' %';
    }
    if (unit === 'BYTES') {
      var names = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
      var i = 0;
      while (Math.abs(value) >= 1000 && i < names.length - 1) {
        value /= 1000;
        i += 1;
      }
      return value.toPrecision(3) + ' ' + names[i];
    }
    return String(Number(value.toPrecision(3)));
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
  }

  function option(chart, width) {
    var ink = colour('ink');
    var quiet = colour('quiet');
    var line = colour('line');
    // ECharts measures text: a keyword would be measured in another font than drawn
    var font = getComputedStyle(document.body).fontFamily;
    var numeric = chart.categories.length === 0;
    var text = { color: quiet, fontFamily: font, fontSize: 12 };
    var next = 0;
    var series = chart.series.map(function (one) {
      var points = one.y.map(function (y, i) {
        return numeric ? { value: [one.x[i], y], name: one.labels ? one.labels[i] : '' } : y;
      });
      var hue = one.reference && chart.kind !== 'LINES' ? ink : colour('series-' + (next % 6 + 1));
      if (chart.kind === 'BARS' && one.reference) {
        // a mark across the bars: what they are compared with
        return {
          name: one.name, type: 'line', data: points, symbol: 'diamond', symbolSize: 8,
          lineStyle: { color: hue, type: 'dashed', width: 1.5 }, itemStyle: { color: hue }, z: 3
        };
      }
      var symbol = symbols[next % symbols.length];
      next += 1;
      if (chart.kind === 'BARS') {
        var few = chart.categories.length < 4;
        return { name: one.name, type: 'bar', data: points, barMaxWidth: few ? 56 : 28, itemStyle: { color: hue } };
      }
      return {
        name: one.name,
        type: 'line',
        data: points,
        symbol: symbol,
        symbolSize: one.reference ? 5 : 8,
        connectNulls: true,
        lineStyle: { color: hue, width: one.reference ? 1.5 : 2, type: one.reference ? 'dashed' : 'solid' },
        itemStyle: { color: hue }
      };
    });
    var axis = {
      nameLocation: 'middle', nameTextStyle: { color: quiet, fontSize: 12, fontFamily: font },
      axisLabel: text, axisLine: { lineStyle: { color: line } }, axisTick: { show: false },
      splitLine: { lineStyle: { color: line } }
    };
    function with_(more) {
      return Object.assign({}, axis, more);
    }
    var rows = Math.ceil(chart.series.reduce(function (sum, one) {
      return sum + 34 + 7 * one.name.length;
    }, 0) / Math.max(1, width - 20));
    var legend = chart.series.length > 1;
    return {
      animation: false,
      textStyle: { fontFamily: font },
      aria: { enabled: false },
      legend: {
        show: legend, type: 'plain', left: 0, top: 0, itemGap: 14, itemWidth: 18,
        textStyle: { color: ink, fontSize: 12, fontFamily: font }
      },
      grid: {
        left: 4, right: 16, top: (legend ? 14 + 22 * rows : 14), bottom: chart.x.title ? 26 : 4,
        containLabel: true
      },
      tooltip: {
        trigger: numeric ? 'item' : 'axis', confine: true,
        backgroundColor: colour('raised'), borderColor: line,
        textStyle: { color: ink, fontSize: 12, fontFamily: font },
        valueFormatter: function (value) {
          return Array.isArray(value)
            ? format(chart.x.unit, value[0]) + ', ' + format(chart.y.unit, value[1])
            : format(chart.y.unit, value);
        }
      },
      xAxis: with_({
        type: numeric ? 'value' : 'category', data: numeric ? undefined : chart.categories,
        min: numeric ? function (range) { return Math.floor(range.min * 10 - 0.1) / 10; } : undefined,
        max: numeric ? function (range) { return Math.ceil(range.max * 10) / 10; } : undefined,
        name: chart.x.title, nameGap: 32, splitLine: { show: false },
        axisLabel: Object.assign({ hideOverlap: true, margin: 10 }, text, numeric
          ? { formatter: function (value) { return format(chart.x.unit, value); } } : {})
      }),
      yAxis: with_({
        type: 'value', max: chart.y.unit === 'SHARE' && !numeric ? top(chart) : null,
        axisLabel: Object.assign({}, text, {
          formatter: function (value) { return format(chart.y.unit, value); }
        })
      }),
      series: series
    };
  }

  // A share's axis: all of it, unless that would flatten the picture, and never a magnified trifle.
  function top(chart) {
    var most = 0;
    chart.series.forEach(function (one) {
      one.y.forEach(function (y) { most = Math.max(most, y === null ? 0 : y); });
    });
    return most > 1.005 ? null : most > 0.6 ? 1 : most < 0.1 ? 0.1 : null;
  }

  function draw() {
    drawn.forEach(function (one) { one.dispose(); });
    drawn = places.map(function (place) {
      var one = echarts.init(place, null, { renderer: 'svg' });
      one.setOption(option(charts[Number(place.dataset.chart)], place.clientWidth));
      place.querySelector('svg')
        .setAttribute('viewBox', '0 0 ' + place.clientWidth + ' ' + place.clientHeight);
      return one;
    });
  }

  var waiting = null;
  function redraw() {
    if (waiting === null) {
      waiting = requestAnimationFrame(function () {
        waiting = null;
        draw();
      });
    }
  }

  draw();
  window.addEventListener('resize', redraw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  // Paper is white, and wider or narrower than the window: drawings scale.
  function onPaper(yes) {
    document.documentElement.classList.toggle('paper', yes);
    draw();
  }
  window.addEventListener('beforeprint', function () { onPaper(true); });
  window.addEventListener('afterprint', function () { onPaper(false); });
}());
