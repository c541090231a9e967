//! The plots, as SVG: bars of every scenario with the target, all scenarios side by side, and lines over the size.

use std::{error::Error, fs, path::Path};

use plotters::{
    coord::ranged1d::{Ranged, ValueFormatter},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    failure::{Failure, Outcome},
    record::Record,
    scenario::{GROWTH, Metric, SIZES, Scenario, TABLE, Target},
    server::Kind,
    summary::{self, Figures, Spread},
};

type Drawn = Result<(), Box<dyn Error>>;

const FONT: &str = "system-ui, sans-serif";
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const TARGET: RGBColor = RGBColor(0xc0, 0x39, 0x2b);

/// Writes the plots of this record into `folder`.
pub(crate) fn write(record: &Record, folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(Failure::io(folder))?;
    let draw = |name: &str, drawn: Drawn| {
        drawn.map_err(|error| Failure::new(format!("{}: {error}", folder.join(name).display())))
    };
    match record.what.as_str() {
        "table" => {
            for scenario in TABLE {
                let name = format!("{}.svg", scenario.name);
                draw(&name, scenario_bars(record, scenario, &folder.join(&name)))?;
            }
            draw("overview.svg", overview(record, &folder.join("overview.svg")))
        }
        "growth" => GROWTH.iter().try_for_each(|scenario| {
            let name = format!("growth-{}.svg", scenario.name);
            draw(&name, growth_lines(record, scenario, &folder.join(&name)))
        }),
        _ => Ok(()),
    }
}

fn color(kind: Kind) -> RGBColor {
    match kind {
        Kind::Node => RGBColor(0x6a, 0x9f, 0x58),
        Kind::Socketioxide => RGBColor(0xd1, 0x8f, 0x3f),
        Kind::Floor => RGBColor(0xa7, 0xad, 0xb5),
        Kind::Patera => RGBColor(0x2b, 0x6c, 0xb0),
    }
}

/// What the axis shows: microseconds, or KiB.
fn shown(figure: f64, metric: Metric) -> f64 {
    match metric {
        Metric::CpuPerOperation => figure,
        Metric::BytesPerConnection => figure / 1024.0,
    }
}

fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuPerOperation => "server CPU, µs per operation",
        Metric::BytesPerConnection => "server memory, KiB per connection",
    }
}

/// One bar a server, with the repetitions' range, and the most that Patera may take.
fn scenario_bars(record: &Record, scenario: &Scenario, file: &Path) -> Drawn {
    let figures = Figures::new(record, |report| summary::figure(scenario.metric, report));
    let show = |figure| shown(figure, scenario.metric);
    let bars: Vec<(Kind, Spread)> =
        Kind::ALL.iter().filter_map(|&kind| Some((kind, figures.spread(scenario.name, "", kind)?))).collect();
    if bars.is_empty() {
        return Ok(());
    }
    let limit = figures.verdict(scenario, record.request_head_bytes).map(|verdict| show(verdict.limit));
    let highest = bars.iter().map(|(_, spread)| show(spread.max)).chain(limit).fold(0.0, f64::max);
    let width = bars.len() as f64;

    let area = SVGBackend::new(file, (640, 360)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(scenario.title, (FONT, 18).into_font().color(&INK))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..width, 0.0..highest * 1.15)?;
    let names: Vec<&str> = bars.iter().map(|(kind, _)| kind.title()).collect();
    mesh(&mut chart, unit(scenario.metric), false)?;
    for (index, (kind, spread)) in bars.iter().enumerate() {
        let (left, height) = (index as f64, show(spread.median));
        chart.draw_series([Rectangle::new([(left + 0.2, 0.0), (left + 0.8, height)], color(*kind).filled())])?;
        let whisker = [(left + 0.5, show(spread.min)), (left + 0.5, show(spread.max))];
        chart.draw_series([PathElement::new(whisker, INK.stroke_width(1))])?;
        write_at(&area, &chart, (left + 0.5, show(spread.max)), &short(height), -16)?;
        write_at(&area, &chart, (left + 0.5, 0.0), names[index], 6)?;
    }
    if let Some(limit) = limit {
        let line = [(0.0, limit), (width, limit)];
        chart.draw_series(DashedLineSeries::new(line, 6, 4, TARGET.stroke_width(2)))?;
        let label = match scenario.target {
            Target::Times(times, kind) => format!("- - Patera at most {times} × {}", kind.title()),
            Target::BytesBeyondHead(_) | Target::None => format!("- - Patera at most {}", short(limit)),
        };
        let style = (FONT, 13).into_font().color(&TARGET).pos(Pos::new(HPos::Right, VPos::Top));
        let (right, top) = chart.backend_coord(&(width, highest * 1.15));
        area.draw_text(&label, &style, (right - 4, top + 4))?;
    }
    area.present()?;
    Ok(())
}

/// All scenarios by CPU time, side by side, on a logarithmic scale.
fn overview(record: &Record, file: &Path) -> Drawn {
    let figures = Figures::new(record, |report| summary::figure(Metric::CpuPerOperation, report));
    let scenarios: Vec<&Scenario> = TABLE
        .iter()
        .filter(|scenario| scenario.metric == Metric::CpuPerOperation)
        .filter(|scenario| Kind::ALL.iter().any(|&kind| figures.median(scenario.name, "", kind).is_some()))
        .collect();
    let all = |scenario: &&Scenario| Kind::ALL.map(|kind| figures.median(scenario.name, "", kind));
    let values: Vec<f64> = scenarios.iter().flat_map(all).flatten().filter(|&value| value > 0.0).collect();
    let (Some(lowest), Some(highest)) = (least(&values), most(&values)) else { return Ok(()) };
    let (lowest, highest) = (lowest / 1.5, highest * 2.0);

    let area = SVGBackend::new(file, (1000, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Server CPU per operation, logarithmic", (FONT, 18).into_font().color(&INK))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..scenarios.len() as f64, (lowest..highest).log_scale())?;
    mesh(&mut chart, unit(Metric::CpuPerOperation), false)?;
    for (index, scenario) in scenarios.iter().enumerate() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            let Some(median) = figures.median(scenario.name, "", kind) else { continue };
            let left = index as f64 + 0.1 + 0.2 * place as f64;
            chart.draw_series([Rectangle::new([(left, lowest), (left + 0.18, median)], color(kind).filled())])?;
        }
        write_at(&area, &chart, (index as f64 + 0.5, lowest), scenario.name, 6)?;
    }
    for kind in Kind::ALL {
        let key = move |(x, y): (i32, i32)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color(kind).filled());
        chart.draw_series(std::iter::empty::<Circle<(f64, f64), i32>>())?.label(kind.title()).legend(key);
    }
    legend(&mut chart, SeriesLabelPosition::UpperLeft)?;
    area.present()?;
    Ok(())
}

/// One line a server, over the number of connections, both logarithmic.
fn growth_lines(record: &Record, scenario: &Scenario, file: &Path) -> Drawn {
    let figures = Figures::new(record, |report| summary::figure(scenario.metric, report));
    let line = |kind: Kind| -> Vec<(f64, f64)> {
        let median = |size: &u32| figures.median(scenario.name, &size.to_string(), kind).filter(|&figure| figure > 0.0);
        let point = |size: &u32| Some((f64::from(*size), shown(median(size)?, scenario.metric)));
        SIZES.iter().filter_map(point).collect()
    };
    let lines: Vec<(Kind, Vec<(f64, f64)>)> = Kind::ALL.into_iter().map(|kind| (kind, line(kind))).collect();
    let values: Vec<f64> = lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.1)).collect();
    let (Some(lowest), Some(highest)) = (least(&values), most(&values)) else { return Ok(()) };

    let area = SVGBackend::new(file, (640, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(scenario.title, (FONT, 18).into_font().color(&INK))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .build_cartesian_2d((8.0..12_500.0).log_scale(), (lowest / 2.0..highest * 2.0).log_scale())?;
    mesh(&mut chart, unit(scenario.metric), true)?;
    for (kind, points) in lines {
        let ink = color(kind);
        let key = move |(x, y): (i32, i32)| PathElement::new([(x, y), (x + 16, y)], ink.stroke_width(3));
        chart.draw_series(LineSeries::new(points.clone(), ink.stroke_width(2)))?.label(kind.title()).legend(key);
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, ink.filled())))?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperRight)?;
    area.present()?;
    Ok(())
}

type Chart<'a, X, Y> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>;

fn mesh<X, Y>(chart: &mut Chart<'_, X, Y>, unit: &str, x_labels: bool) -> Drawn
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe3, 0xe5, 0xe8))
        .axis_style(INK)
        .label_style((FONT, 13).into_font().color(&INK))
        .x_labels(if x_labels { 10 } else { 0 })
        .x_label_formatter(&|x| short(*x))
        .y_labels(8)
        .y_label_formatter(&|y| short(*y))
        .y_desc(unit)
        .axis_desc_style((FONT, 13).into_font().color(&INK))
        .draw()?;
    Ok(())
}

fn legend<X, Y>(chart: &mut Chart<'_, X, Y>, place: SeriesLabelPosition) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    chart
        .configure_series_labels()
        .position(place)
        .background_style(WHITE.mix(0.9))
        .border_style(TRANSPARENT)
        .label_font((FONT, 13).into_font().color(&INK))
        .draw()?;
    Ok(())
}

/// Writes centred at a point of the chart, so many pixels below it.
fn write_at<X, Y>(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    chart: &Chart<'_, X, Y>,
    point: (f64, f64),
    text: &str,
    below: i32,
) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let (x, y) = chart.backend_coord(&point);
    let style = (FONT, 13).into_font().color(&INK).pos(Pos::new(HPos::Center, VPos::Top));
    area.draw_text(text, &style, (x, y + below))?;
    Ok(())
}

fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..0.995 => format!("{value:.2}"),
        ..9.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn least(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

fn most(values: &[f64]) -> Option<f64> {
    values.iter().copied().max_by(f64::total_cmp)
}
